"""The model that a server offers: the names that clients may call it by, what it speaks and what it can spell."""

from dataclasses import dataclass

from asr.serving.errors import ParameterError, RequestError
from asr.tokenizer import CharTokenizer

ALIAS = "whisper-1"  # the only name that many clients can send


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model.

    Attributes:
        name: Its name.
        tokenizer: Its alphabet.
        language: What it speaks, as a code such as `en`; empty if that is not known.
    """

    name: str
    tokenizer: CharTokenizer
    language: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The names that clients may call it by."""
        return (self.name, ALIAS) if self.name != ALIAS else (ALIAS,)

    def check_name(self, asked: str) -> None:
        """Refuse a model that is not here.

        Raises:
            RequestError: With status 404.
        """
        if asked not in self.names:
            message = f"there is no model {asked!r}; expected {' or '.join(self.names)}"
            raise RequestError(404, message, code="model_not_found", param="model")

    def check_language(self, asked: str) -> None:
        """Refuse a language that the model does not speak, as far as that is known.

        Raises:
            ParameterError: If it is another one.
        """
        if asked and self.language and asked.lower().replace("_", "-").partition("-")[0] != self.language:
            message = f"the model does not speak {asked!r}; expected {self.language!r}, or nothing"
            raise ParameterError("language", message)
