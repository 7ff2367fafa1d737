"""What `model` may say: ``auto``, a policy, a target, or another name for one of them."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from ..compose import Router
from ..document import nearest
from ..errors import ConfigError
from .settings import Settings
from .wire.failure import refuse

AUTO = "auto"
"""The policy that the server was started with."""
MOST_ECHOED = 200
"""Characters of a wrong name that an error says back."""


class Choice(NamedTuple):
    """What a model's name chose. Both None: the server's own policy decides."""

    policy: str | None
    target: str | None


class Names:
    """Every name that `model` may have. A policy's beats a target's of the same name."""

    def __init__(self, router: Router, settings: Settings) -> None:
        """Read the folders of policies. Raises: ConfigError, when an alias is for nothing."""
        self._router = router
        self._settings = settings
        self._found: dict[str, Choice] = {}
        self.refresh()

    @property
    def own(self) -> str:
        """The name of the policy that ``auto`` means."""
        return self._router.watched.policy.name

    def refresh(self) -> None:
        """Read the folders of policies again; from any thread.

        Raises: ConfigError, when an alias is for nothing; the names stay as they were.
        """
        folders = self._router.config.policy_folders
        files = (p for folder in folders for p in sorted(folder.glob("*.yaml")))
        names = dict.fromkeys(p.stem for p in files if not p.stem.endswith(".test"))
        found: dict[str, Choice] = {}
        for target in self._router.targets if self._settings.targets else ():
            found[target] = Choice(None, target)
        for policy in names:
            found[policy] = Choice(policy, None)
        found[self.own] = Choice(None, None)
        found[AUTO] = Choice(None, None)
        for alias, meant in self._settings.aliases.items():
            if meant not in found:
                hint = nearest(meant, found)
                raise ConfigError(f"nothing is called {meant!r}", field=f"alias {alias}", hint=hint)
            found[alias] = found[meant]
        self._found = found

    def means(self, model: str) -> Choice | None:
        """What `model` means. None: nothing is called so."""
        return self._found.get(model)

    def ready(self, model: str) -> Choice | None:
        """What `model` means, where that is known without a wait. None: ask `choose`."""
        choice = self._found.get(model)
        if choice is None or (
            choice.policy is not None and choice.policy not in self._router.named
        ):
            return None
        return choice

    async def choose(self, model: str) -> Choice:
        """What `model` means; a policy that was not used yet is read. Raises: Refusal."""
        choice = self._found.get(model)
        if choice is None:
            hint = nearest(model, self._found) or "`GET /v1/models` lists them"
            raise refuse(
                404,
                f"no policy or target is called {model[:MOST_ECHOED]!r}: {hint}",
                "model_not_found",
                param="model",
            )
        if choice.policy is not None and choice.policy not in self._router.named:
            try:
                await asyncio.to_thread(self._router.of_policy, choice.policy)
            except ConfigError as exc:
                raise refuse(
                    404,
                    f"policy {model!r} can't be used here: {exc.message}",
                    "model_not_found",
                    param="model",
                ) from exc
        return choice

    async def usable(self) -> list[str]:
        """The names that `choose` takes: aliases, too, but no policy that does not fit."""
        return [name for name in self._found if await asyncio.to_thread(self._fits, name)]

    def _fits(self, name: str) -> bool:
        try:
            self._router.of_policy(self._found[name].policy)
        except ConfigError:
            return False
        return True
