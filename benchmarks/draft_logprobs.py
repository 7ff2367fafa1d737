"""Record the log-probability of every token of real drafts, for `street.py` to play.

    python benchmarks/draft_logprobs.py --model smollm2-135m --data phi35_gpt4o.train.jsonl.gz

Each question of the data is asked of the device, greedily and alone; the answers are not kept.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from itertools import islice
from pathlib import Path
from typing import Any

from common import conditions, parser

from router.models import Store
from router.providers.base import Target
from router.providers.device import build
from router.types import Ask, Message

RECORDED = Path(__file__).with_name("draft_logprobs.json")


def main() -> int:
    made = parser(__doc__.partition("\n")[0])
    made.add_argument("--model", default="smollm2-135m", help="a name of the store, or a folder")
    made.add_argument("--data", type=Path, required=True, help="recorded questions")
    made.add_argument("--drafts", type=int, default=120)
    made.add_argument("--tokens", type=int, default=160, help="most tokens of each")
    args = made.parse_args()
    said = conditions("onnxruntime-genai")
    with gzip.open(args.data, "rt", encoding="utf-8") as lines:
        prompts = [json.loads(line)["prompt"] for line in islice(lines, args.drafts)]
    folder = str(Store().find(args.model).path)
    drafts = asyncio.run(_drafts(folder, prompts, args.tokens))
    kept = {"model": args.model, "versions": said["versions"], "data": args.data.name}
    text = ",\n".join(json.dumps(draft, separators=(",", ":")) for draft in drafts)
    RECORDED.write_text(json.dumps(kept)[:-1] + f', "drafts": [\n{text}\n]}}\n')
    tokens = sum(map(len, drafts))
    print(f"{len(drafts)} drafts, {tokens} tokens, mean {sum(map(sum, drafts)) / tokens:.3f}")
    return 0


async def _drafts(folder: str, prompts: list[str], tokens: int) -> list[list[float]]:
    target: dict[str, Any] = {"name": "device", "tier": "device", "provider": "device"}
    device = build(Target(model=folder, **target))
    found = []
    try:
        for prompt in prompts:
            ask = Ask(
                attempt_id="recording",
                messages=(Message(role="user", content=prompt),),
                max_output_tokens=tokens,
                temperature=0.0,
            )
            chunks = [chunk async for chunk in device.stream(ask)]
            stats = [stat for chunk in chunks for stat in chunk.tokens]
            found.append([round(stat.logprob, 2) for stat in stats])
    finally:
        await device.aclose()
    return found


if __name__ == "__main__":
    raise SystemExit(main())
