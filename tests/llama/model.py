"""Writes a tiny random llama model as a GGUF file: half a megabyte, the same bytes every time, nobody's licence.

    python model.py OUT.gguf [LAYERS WIDTH HEADS FEED_FORWARD]

The defaults (2 64 4 128) decode thousands of tokens a second on one core; 6 512 8 1376 gives 77 MB and a load time that
can be seen. What the model says is noise: the tests want a real server, not an answer.
"""

import sys

import numpy
from gguf import GGUFWriter, LlamaFileType, TokenType

CONTEXT = 4096
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,!?-:;'\"()"


def vocabulary(writer):
    """Control tokens, every byte, a space and some letters: enough to tokenize anything."""
    tokens = [b"<unk>", b"<s>", b"</s>"] + [f"<0x{byte:02X}>".encode() for byte in range(256)]
    kinds = [TokenType.UNKNOWN, TokenType.CONTROL, TokenType.CONTROL] + [TokenType.BYTE] * 256
    scores = [0.0] * len(tokens)
    for rank, piece in enumerate(["\u2581", *LETTERS]):
        tokens.append(piece.encode())
        kinds.append(TokenType.NORMAL)
        scores.append(-float(rank))
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_scores(scores)
    writer.add_token_types([int(kind) for kind in kinds])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    return len(tokens)


def write(path, layers=2, width=64, heads=4, feed_forward=128):
    """One whole model in `path`."""
    random = numpy.random.default_rng(7)

    def noise(*shape):
        return (random.standard_normal(shape) * 0.05).astype(numpy.float32)

    writer = GGUFWriter(path, "llama")
    writer.add_name("tiny-random")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(feed_forward)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width // heads)
    writer.add_rope_freq_base(1e4)
    writer.add_file_type(LlamaFileType.ALL_F32)
    tokens = vocabulary(writer)
    writer.add_tensor("token_embd.weight", noise(tokens, width))
    writer.add_tensor("output_norm.weight", numpy.ones(width, numpy.float32))
    writer.add_tensor("output.weight", noise(tokens, width))
    for layer in range(layers):
        block = f"blk.{layer}."
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            writer.add_tensor(f"{block}{name}.weight", noise(width, width))
        writer.add_tensor(f"{block}ffn_gate.weight", noise(feed_forward, width))
        writer.add_tensor(f"{block}ffn_up.weight", noise(feed_forward, width))
        writer.add_tensor(f"{block}ffn_down.weight", noise(width, feed_forward))
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"{block}{name}.weight", numpy.ones(width, numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    if len(sys.argv) not in (2, 6):
        sys.exit(__doc__)
    write(sys.argv[1], *(int(number) for number in sys.argv[2:]))
