"""Fewer bytes: sparse, low-rank, shared, quantized and coded parameters.

A *score* says what an entry is worth, a *mask* which entries stay; a *codec* turns an
array into a code, a tuple of smaller arrays whose ``core.nbytes`` is the whole price,
and back. `compress` puts a network through pruning, sharing and Huffman's code into one
file; ``python -m deepopt_lib.compress`` does it for yours.
"""

from deepopt_lib.compress.adapt import (
    GaLore,
    Projected,
    factored_mlp,
    init_lora,
    with_lora,
)
from deepopt_lib.compress.bits import pack_bits, unpack_bits
from deepopt_lib.compress.codec import CODECS, BaseCodec
from deepopt_lib.compress.coding import (
    HuffmanCode,
    code_lengths,
    entropy,
    huffman,
    unhuffman,
)
from deepopt_lib.compress.deep_compression import compress, decompress
from deepopt_lib.compress.gaps import from_gaps, to_gaps
from deepopt_lib.compress.kmeans import k_means
from deepopt_lib.compress.low_rank import (
    Factors,
    LowRank,
    activation_aware,
    break_even,
    randomized,
    rank_for_energy,
    tail,
    truncated,
)
from deepopt_lib.compress.masks import Mask, Masked, apply_masks, density, masked_rules
from deepopt_lib.compress.model_file import read_model, write_model
from deepopt_lib.compress.nm import NM, NMCode
from deepopt_lib.compress.prune import (
    global_masks,
    gradual,
    layer_masks,
    magnitude,
    top_blocks,
    top_nm,
    top_share,
    wanda,
)
from deepopt_lib.compress.quantization.affine import Affine, AffineCode, sqnr
from deepopt_lib.compress.quantization.blockwise import Blockwise, BlockwiseCode, table
from deepopt_lib.compress.quantization.grid import Grid
from deepopt_lib.compress.quantization.integer import (
    IntegerLayer,
    IntegerNetwork,
    integer_mlp,
    multiplier,
)
from deepopt_lib.compress.quantization.qat import quantize_params, straight_through
from deepopt_lib.compress.quantization.states import Quantized
from deepopt_lib.compress.quantization.weight_only import (
    Int8Layer,
    int8_layer,
    int8_linear,
)
from deepopt_lib.compress.sharing import (
    Codebook,
    CodebookCode,
    hash_places,
    spread,
    sum_shared,
    tie,
)
from deepopt_lib.compress.sparse import (
    FORMATS,
    Choice,
    fastest,
    smallest,
    sparse_linear,
    storage,
    to_format,
)
from deepopt_lib.compress.sparse_code import (
    Model,
    SparseCode,
    decode_sparse,
    encode_sparse,
)
from deepopt_lib.compress.surgeon import gptq, hessian, obs, output_error, sparsegpt
from deepopt_lib.compress.weights import predict, read_weights

__all__ = [
    "CODECS",
    "FORMATS",
    "NM",
    "Affine",
    "AffineCode",
    "BaseCodec",
    "Blockwise",
    "BlockwiseCode",
    "Choice",
    "Codebook",
    "CodebookCode",
    "Factors",
    "GaLore",
    "Grid",
    "HuffmanCode",
    "Int8Layer",
    "IntegerLayer",
    "IntegerNetwork",
    "LowRank",
    "Mask",
    "Masked",
    "Model",
    "NMCode",
    "Projected",
    "Quantized",
    "SparseCode",
    "activation_aware",
    "apply_masks",
    "break_even",
    "code_lengths",
    "compress",
    "decode_sparse",
    "decompress",
    "density",
    "encode_sparse",
    "entropy",
    "factored_mlp",
    "fastest",
    "from_gaps",
    "global_masks",
    "gptq",
    "gradual",
    "hash_places",
    "hessian",
    "huffman",
    "init_lora",
    "int8_layer",
    "int8_linear",
    "integer_mlp",
    "k_means",
    "layer_masks",
    "magnitude",
    "masked_rules",
    "multiplier",
    "obs",
    "output_error",
    "pack_bits",
    "predict",
    "quantize_params",
    "randomized",
    "rank_for_energy",
    "read_model",
    "read_weights",
    "smallest",
    "sparse_linear",
    "sparsegpt",
    "spread",
    "sqnr",
    "storage",
    "straight_through",
    "sum_shared",
    "table",
    "tail",
    "tie",
    "to_format",
    "to_gaps",
    "top_blocks",
    "top_nm",
    "top_share",
    "truncated",
    "unhuffman",
    "unpack_bits",
    "wanda",
    "with_lora",
    "write_model",
]
