"""Settings of the file connector."""

import codecs
import enum
from pathlib import Path

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    ValidationInfo,
    field_validator,
    model_validator,
)

from connectors.mapping import EventMapping
from connectors.runtime.plugin import Config


class Format(enum.StrEnum):
    """What files hold."""

    CSV = "csv"
    JSON_LINES = "jsonl"
    PARQUET = "parquet"
    EXCEL = "excel"


class Order(enum.StrEnum):
    """Which of several files is read first."""

    NAME = "name"
    MODIFIED = "modified"


_SUFFIXES = {
    ".csv": Format.CSV,
    ".tsv": Format.CSV,
    ".txt": Format.CSV,
    ".jsonl": Format.JSON_LINES,
    ".ndjson": Format.JSON_LINES,
    ".parquet": Format.PARQUET,
    ".xlsx": Format.EXCEL,
    ".xlsm": Format.EXCEL,
}


class Csv(BaseModel):
    """How a CSV file is written (RFC 4180, where not said otherwise)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    encoding: str = Field(
        "utf-8",
        description="of the text: `utf-8` (with or without byte order mark), `cp1252`, or another that keeps ASCII's "
        "bytes; UTF-16 does not",
    )
    delimiter: str = Field(",", min_length=1, max_length=1, description="between cells")
    quote: str = Field('"', min_length=1, max_length=1, description="around cells that hold delimiters or line ends")
    columns: list[str] = Field(
        default_factory=list, description="names of the columns, for files without a header line; default: the header's"
    )

    @model_validator(mode="after")
    def _tells_apart(self) -> "Csv":
        if self.delimiter == self.quote or {self.delimiter, self.quote} & {"\r", "\n"}:
            raise ValueError("delimiter and quote must be two characters, and no line ends")
        return self

    @field_validator("encoding")
    @classmethod
    def _keeps_ascii(cls, encoding: str) -> str:
        try:
            sample = bytes(range(0x20, 0x7F)) + b"\r\n"
            if codecs.lookup(encoding).name == "utf-7" or sample.decode(encoding) != sample.decode("ascii"):
                raise ValueError("does not keep ASCII's bytes: save the file as UTF-8")
        except (LookupError, UnicodeError):
            raise ValueError("is no known encoding that keeps ASCII's bytes, as utf-8 and cp1252 do") from None
        return encoding


class Files(Config):
    """Where files are, what they hold, and what is made of their rows."""

    folder: Path | None = Field(None, description="folder that is watched; files in folders below it are not read")
    stream: Path | None = Field(
        None, validate_default=True, description="instead of a folder, a named pipe with CSV or JSON Lines"
    )
    pattern: str = Field("*", description="names of the files that are read, as `births-*.csv`")
    format: Format | None = Field(None, validate_default=True, description="what the files hold; default: by suffix")
    csv: Csv = Field(Csv(), description="how CSV files are written")
    sheet: str | None = Field(None, description="the sheet of an Excel file; default: its only one")
    skip: NonNegativeInt = Field(0, description="lines or rows before the header, as titles; CSV and Excel")
    mapping: EventMapping = Field(description="how a row becomes an event")
    order: Order = Field(Order.NAME, description="which file is read first")
    settle_seconds: NonNegativeInt = Field(
        5,
        description="a file is read once it has not changed for so long; 0 if files are always renamed into the folder",
    )
    done: str = Field(
        "done", pattern=r"^\.?[\w-][\w.-]*$", description="folder below, into which files that were read are moved"
    )
    rejected_rows: bool = Field(
        False,
        description="whether lists of rejected rows show the rows as well as their lines; they may hold personal data",
    )
    batch: PositiveInt = Field(1000, le=5000, description="rows that are read and published at a time")
    remember: PositiveInt = Field(
        1000, description="so many files are remembered by their content: the same file put there again is not read"
    )

    @field_validator("folder", "stream")
    @classmethod
    def _is_absolute(cls, path: Path | None) -> Path | None:
        if path is not None and not path.is_absolute():
            raise ValueError("must be an absolute path: it is looked for where the connector runs")
        return path

    @field_validator("stream")
    @classmethod
    def _one_place(cls, stream: Path | None, info: ValidationInfo) -> Path | None:
        if "folder" in info.data and (stream is None) == (info.data["folder"] is None):
            raise ValueError("needs either folder or stream")
        return stream

    @field_validator("format")
    @classmethod
    def _may_stream(cls, written: Format | None, info: ValidationInfo) -> Format | None:
        if info.data.get("stream") is not None and written not in (Format.CSV, Format.JSON_LINES):
            raise ValueError("format must be csv or jsonl for a stream")
        return written

    @field_validator("mapping")
    @classmethod
    def _names_rows(cls, mapping: EventMapping, info: ValidationInfo) -> EventMapping:
        if info.data.get("stream") is not None and mapping.id is None:
            raise ValueError("mapping.id must be given for a stream: its rows have no other lasting name")
        return mapping

    def format_of(self, name: str) -> Format | None:
        """What a file of this name holds; None if its suffix does not say."""
        return self.format or _SUFFIXES.get(Path(name).suffix.lower())
