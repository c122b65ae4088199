"""Headers and tables of other programs, one reader each, and files written whole or not at all."""
