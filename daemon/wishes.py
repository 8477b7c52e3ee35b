"""The parameters in force: those that last, and those for the next request only. Pure."""

from __future__ import annotations

from .parameters import Generation, Value


class Wishes:
    """`lasting` holds until it is changed; what was wished once goes with the next request."""

    def __init__(self, lasting: Generation) -> None:
        self.lasting = lasting
        self._once: dict[str, Value] = {}
        self._taken: dict[str, Value] = {}

    def set(self, name: str, value: object) -> Value:
        """Change a parameter for good; its value. Raises ParameterError, with nothing changed."""
        self.lasting = self.lasting.with_value(name, value)
        return self.lasting.value(name)

    def set_once(self, name: str, value: object) -> Value:
        """Change a parameter for the next request; its value. Raises ParameterError."""
        self._once[name] = self.lasting.with_value(name, value).value(name)
        return self._once[name]

    def take(self, **asked: Value | None) -> Generation:
        """What the next request gets; `asked` is what it says itself, None what it does not."""
        generation = self.lasting
        said = {name: value for name, value in asked.items() if value is not None}
        for name, value in {**self._once, **said}.items():
            generation = generation.with_value(name, value)
        self._once, self._taken = {}, self._once
        return generation

    def give_back(self) -> None:
        """What was taken last came to nothing: what it had for itself is the next one's. What has
        been wished since counts more."""
        self._once, self._taken = {**self._taken, **self._once}, {}
