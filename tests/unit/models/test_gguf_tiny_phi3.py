"""The tiny Phi-3-shaped model that other tests stand on keeps its promises."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import onnxruntime_genai as og
import pytest

from tests.support.tiny_phi3 import CONTEXT_LENGTH, VOCAB_SIZE, build_tiny_phi3

PROMPTS = ("What is the capital of France?", "hi", "Überraschung 🦊 1234", "a" * 300)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_phi3(tmp_path_factory.mktemp("tiny") / "phi3")


def test_the_tiny_model_is_small_and_loads_in_no_time(folder: Path) -> None:
    # Processor time, so that a busy machine does not count.
    begun = time.process_time()
    model = og.Model(str(folder))
    og.Tokenizer(model)

    assert time.process_time() - begun < 0.5
    assert sum(path.stat().st_size for path in folder.iterdir()) < 1_000_000


def test_the_tiny_model_says_that_it_is_a_phi3(folder: Path) -> None:
    config = json.loads((folder / "genai_config.json").read_text(encoding="utf-8"))

    assert config["model"]["type"] == "phi3"
    assert config["model"]["context_length"] == CONTEXT_LENGTH
    assert config["model"]["vocab_size"] == VOCAB_SIZE
    assert len(config["model"]["eos_token_id"]) == 3


def test_the_tiny_model_wraps_a_conversation_as_phi3_does(folder: Path) -> None:
    tokenizer = og.Tokenizer(og.Model(str(folder)))
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]

    text = tokenizer.apply_chat_template(json.dumps(messages), add_generation_prompt=True)

    assert text == "<|system|>\nBe kind.<|end|>\n<|user|>\nHi<|end|>\n<|assistant|>\n"


@pytest.mark.parametrize("text", [*PROMPTS, "tabs\tand\nlines", "  two  spaces "])
def test_the_tiny_tokenizer_gives_back_what_it_was_given(folder: Path, text: str) -> None:
    tokenizer = og.Tokenizer(og.Model(str(folder)))

    # GenAI keeps the space that SentencePiece puts before a text.
    assert tokenizer.decode(tokenizer.encode(text)) == f" {text}"


@pytest.mark.parametrize("prompt", PROMPTS)
def test_greedy_text_of_the_tiny_model_runs_on_and_is_neither_certain_nor_flat(
    folder: Path, prompt: str
) -> None:
    model = og.Model(str(folder))
    tokenizer = og.Tokenizer(model)
    params = og.GeneratorParams(model)
    params.set_search_options(max_length=1000)
    generator = og.Generator(model, params)
    generator.append_tokens(tokenizer.encode(f"<|user|>\n{prompt}<|end|>\n<|assistant|>\n"))
    chosen, logprobs = [], []

    for _ in range(300):
        assert not generator.is_done()
        logits = np.asarray(generator.get_logits(), np.float64).ravel()
        generator.generate_next_token()
        chosen.append(int(generator.get_next_tokens()[0]))
        logprobs.append(logits[chosen[-1]] - np.logaddexp.reduce(logits))

    assert len(set(chosen)) > 50
    assert -np.log(VOCAB_SIZE) + 1 < np.mean(logprobs) < -0.5
    assert np.std(logprobs) > 0.2


def test_the_same_call_always_writes_the_same_model(folder: Path, tmp_path: Path) -> None:
    again = build_tiny_phi3(tmp_path / "again")

    for path in folder.iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name
