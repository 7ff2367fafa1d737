"""A Llama-architecture GGUF becomes a folder that ONNX Runtime GenAI can run."""
