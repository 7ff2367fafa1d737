"""`genai_config.json`: how ONNX Runtime GenAI is to feed the graph of `graph.py`.

In: the model's shape and its special ids. Out: the document, as a dict ready for JSON.
"""

from __future__ import annotations

from typing import Any

from .graph import Shape
from .onnxfile import MODEL_FILE


def genai_config(
    shape: Shape,
    *,
    model_type: str,
    bos_id: int | None,
    eos_ids: tuple[int, ...],
    pad_id: int,
) -> dict[str, Any]:
    """Describe the folder to ONNX Runtime GenAI.

    Args:
        model_type: GenAI's word for the architecture, such as ``"llama"`` or ``"phi3"``.
        eos_ids: Each of them ends an answer; at least one.
    """
    decoder = {
        "session_options": {"log_id": "onnxruntime-genai", "provider_options": []},
        "filename": MODEL_FILE,
        "head_size": shape.head_size,
        "hidden_size": shape.hidden,
        "inputs": {
            "input_ids": "input_ids",
            "attention_mask": "attention_mask",
            "past_key_names": "past_key_values.%d.key",
            "past_value_names": "past_key_values.%d.value",
        },
        "outputs": {
            "logits": "logits",
            "present_key_names": "present.%d.key",
            "present_value_names": "present.%d.value",
        },
        "num_attention_heads": shape.heads,
        "num_hidden_layers": shape.layers,
        "num_key_value_heads": shape.kv_heads,
    }
    model: dict[str, Any] = {
        "type": model_type,
        "context_length": shape.context_length,
        "vocab_size": shape.vocab,
        "eos_token_id": list(eos_ids),
        "pad_token_id": pad_id,
        "decoder": decoder,
    }
    if bos_id is not None:
        model["bos_token_id"] = bos_id
    # The cache is shared in place, so `max_length` alone decides its size.
    search = {
        "do_sample": False,
        "max_length": shape.context_length,
        "past_present_share_buffer": True,
    }
    return {"model": model, "search": search}
