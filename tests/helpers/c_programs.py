"""What tests compile headers with, and the program that shows every sum of an integer network."""

#: Without an optimisation level, which a test adds.
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wconversion"]
SANITIZERS = ["-fsanitize=undefined,address", "-fno-sanitize-recover=all"]
SANITIZED = [*STRICT, "-O1", *SANITIZERS]

#: Reads int16 samples, writes the accumulators of all layers, the scores and the index.
SUMS_OF_INTEGERS = """
#include <stdint.h>
#include <stdio.h>
static void trace(int32_t z) { fwrite(&z, sizeof z, 1, stdout); }
#include "net.h"
int main(void) {
    int16_t x[NET_N_FEATURES];
    int32_t scores[NET_N_CLASSES];
    while (fread(x, sizeof x, 1, stdin) == 1) {
        net_scores(x, scores);
        fwrite(scores, sizeof scores, 1, stdout);
        int32_t code = net_predict(x);
        fwrite(&code, sizeof code, 1, stdout);
    }
    return 0;
}
"""
