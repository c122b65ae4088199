"""Names of torch's functions, by what they do to the units that they are given."""

from __future__ import annotations

__all__ = [
    "ARITHMETIC",
    "CASTS",
    "JOINS",
    "LOOKS_AT_VALUES",
    "MOVES",
    "POINTWISE",
    "POOLS",
    "REDUCTIONS",
    "SELECT",
    "SPREADS",
    "WHY",
]


def _names(text: str) -> list[str]:
    return text.split()


#: They give Python numbers, unless a tensor comes out: the next batch may run otherwise.
LOOKS_AT_VALUES = frozenset(
    _names(
        "bool item tolist int float complex index numpy array equal allclose is_nonzero contains"
        " iter"
    )
)
#: Their shapes depend on the data.
SELECT = _names("nonzero argwhere masked_select unique unique_consecutive bincount")

#: They move numbers or leave them where they are.
MOVES = _names(
    "view reshape flatten unflatten ravel permute transpose swapaxes swapdims movedim moveaxis t T"
    " mT squeeze unsqueeze getitem narrow select chunk split split_with_sizes tensor_split unbind"
    " expand broadcast_to repeat tile repeat_interleave index_select flip roll unfold view_as"
    " reshape_as expand_as cat concat concatenate stack hstack vstack"
)
#: They put units beside those of other tensors.
JOINS = {"cat", "concat", "concatenate", "stack", "hstack", "vstack"}
CASTS = _names(
    "contiguous clone detach data to type type_as cpu cuda float double half bfloat16 int long"
    " short bool"
)

#: One tensor, each number by itself; activations that are in no table go by their own name.
POINTWISE = _names(
    "elu gelu silu selu celu relu6 leaky_relu hardtanh hardswish hardsigmoid hardshrink softshrink"
    " tanhshrink mish softplus softsign logsigmoid threshold"
)
ARITHMETIC = _names(
    "abs absolute neg negative exp expm1 log log1p log2 log10 sqrt rsqrt square sin cos tan atan"
    " arctan erf reciprocal sign clamp clip clamp_min clamp_max round floor ceil nan_to_num pow"
    " add radd iadd sub rsub isub subtract mul rmul imul multiply div rdiv rtruediv truediv idiv"
    " itruediv divide true_divide maximum minimum fmax fmin lerp where gt ge lt le eq ne greater"
    " less masked_fill addcmul addcdiv logical_and logical_or logical_not isnan isfinite isinf"
)
REDUCTIONS = _names("mean sum amax amin max min prod var std logsumexp norm nanmean median")
SPREADS = _names("softmax log_softmax softmin cumsum cumprod sort argsort")
POOLS = {
    f"{kind}pool{n}d"
    for kind in ("max_", "avg_", "lp_", "adaptive_avg_", "adaptive_max_")
    for n in (1, 2, 3)
}


#: What is said of functions that units cannot be followed through.
WHY = {
    **dict.fromkeys(
        _names("matmul rmatmul mm bmm baddbmm einsum tensordot bilinear cdist cosine_similarity"
               " scaled_dot_product_attention multi_head_attention_forward normalize"),
        "each of its numbers is made of several of them",
    ),
    **dict.fromkeys(_names("gru lstm rnn_tanh rnn_relu"), "recurrent layers are not cut"),
    "group_norm": "it scales them by groups",
    "local_response_norm": "it scales each by those beside it",
    **dict.fromkeys(
        _names("channel_shuffle native_channel_shuffle"), "it counts them off by groups"
    ),
    "setitem": "it writes into a tensor",
}  # fmt: skip
