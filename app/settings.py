"""Everything that can be configured, read once from the environment; no other module reads `os.environ`."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import limits
from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from app.plans import Plan

MIB = 1024 * 1024
DEFAULT_ENDPOINT = "default"
DEFAULT_RATE_LIMITS: dict[Plan, dict[str, str]] = {
    Plan.FREE: {DEFAULT_ENDPOINT: "600/minute", "/api/v1/images": "10/minute"},
    Plan.PRO: {DEFAULT_ENDPOINT: "3000/minute", "/api/v1/images": "60/minute"},
    Plan.ENTERPRISE: {DEFAULT_ENDPOINT: "12000/minute", "/api/v1/images": "600/minute"},
}


def _parse_json(value: object) -> object:
    """Parse here, not in pydantic-settings, whose own error would name neither the value nor the remedy."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON ({error})") from None


T = TypeVar("T")
FromJson = Annotated[T, NoDecode, BeforeValidator(_parse_json)]
Seconds = Annotated[float, Field(gt=0)]
Bytes = Annotated[int, Field(ge=0)]


class SettingsError(ValueError):
    """Some settings are wrong; the message names every one of them, its value and what to do."""


class Quotas(BaseModel):
    """Bytes each plan may keep in storage."""

    free: Bytes = 50 * MIB
    pro: Bytes = 1024 * MIB
    enterprise: Bytes = 10240 * MIB

    def of(self, plan: Plan) -> int:
        """Return the quota of one plan."""
        return int(getattr(self, plan.value))


class Settings(BaseSettings):
    """The settings of app and worker; each field is the environment variable of the same name in capitals."""

    model_config = SettingsConfigDict(extra="ignore")

    database_url: str = Field(description="e.g. sqlite:////var/lib/chat/chat.db or postgresql://user:pw@host/db")
    storage_url: str = Field(description="e.g. file:///var/lib/chat/storage or s3://bucket/prefix")
    redis_url: str = Field("redis://127.0.0.1:6379/0", description="e.g. redis://127.0.0.1:6379/0")
    admin_token: SecretStr | None = Field(None, description="any long random text; guards POST /api/v1/users")

    llm_provider: Literal["openai", "anthropic"] = Field("openai", description="openai or anthropic")
    llm_model: str = Field("gpt-4o-mini", min_length=1, description="a chat model of the provider")
    image_model: str = Field("gpt-image-1", min_length=1, description="an image model of OpenAI's API")
    transcription_model: str = Field("whisper-1", min_length=1, description="a model that answers verbose_json")
    openai_api_key: SecretStr | None = Field(None, description="the key of the OpenAI-compatible vendor")
    anthropic_api_key: SecretStr | None = Field(None, description="the key of Anthropic")
    llm_timeout_seconds: Seconds = Field(30.0, description="a positive number of seconds")
    task_max_retries: int = Field(3, ge=0, le=10, description="retries of a task, 0 to 10")
    task_retry_backoff_seconds: Seconds = Field(1.0, description="a positive number of seconds")
    reply_cache_seconds: int = Field(3600, ge=0, description="seconds; 0 switches the reply cache off")

    rate_limits: FromJson[dict[Plan, dict[str, str]]] = Field(
        default_factory=dict,
        validate_default=True,
        description='JSON such as {"free": {"default": "60/minute", "/api/v1/images": "5/minute"}}',
    )
    upload_max_bytes: int = Field(10 * MIB, gt=0, description="a positive number of bytes")
    storage_quota: FromJson[Quotas] = Field(
        default_factory=Quotas, description='JSON such as {"free": 1000000}, in bytes'
    )
    file_retention_days: float = Field(30.0, gt=0, description="a positive number of days")
    job_retention_days: float = Field(7.0, gt=0, description="a positive number of days")

    facts_interval_seconds: Seconds = Field(5.0, description="a positive number of seconds")
    user_active_hours: float = Field(24.0, gt=0, description="a positive number of hours")
    conversation_active_hours: float = Field(1.0, gt=0, description="a positive number of hours")
    publish_timeout_seconds: Seconds = Field(3.0, description="a positive number of seconds")
    redis_timeout_seconds: Seconds = Field(1.0, description="a positive number of seconds")

    @field_validator("database_url")
    @classmethod
    def _database_url_usable(cls, value: str) -> str:
        try:
            url = make_url(value)
        except ArgumentError:
            raise ValueError("is not a database URL") from None
        if url.get_backend_name() not in {"sqlite", "postgresql"}:
            raise ValueError("names a database that is not supported")
        if url.get_backend_name() == "sqlite":
            _require_directory(url.database)
        return value

    @field_validator("storage_url")
    @classmethod
    def _storage_url_usable(cls, value: str) -> str:
        if not value.startswith(("file:///", "s3://")):
            raise ValueError("is neither a file:/// nor an s3:// URL")
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis_url_usable(cls, value: str) -> str:
        if not value.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("is not a Redis URL")
        return value

    @field_validator("rate_limits")
    @classmethod
    def _rate_limits_usable(cls, value: dict[Plan, dict[str, str]]) -> dict[Plan, dict[str, str]]:
        for text in (limit for limits_of_plan in value.values() for limit in limits_of_plan.values()):
            _require_limit(text)
        return {plan: DEFAULT_RATE_LIMITS[plan] | value.get(plan, {}) for plan in Plan}

    @model_validator(mode="after")
    def _provider_has_key(self) -> Self:
        name = f"{self.llm_provider}_api_key"
        if not getattr(self, name):
            raise ValueError(f"{name.upper()} is not set, but LLM_PROVIDER={self.llm_provider} needs it: set the key")
        return self

    def limit_of(self, plan: Plan, endpoint: str) -> str:
        """Return the rate limit of a plan on one route template, e.g. `"600/minute"`."""
        return self.rate_limits[plan].get(endpoint, self.rate_limits[plan][DEFAULT_ENDPOINT])


def _require_directory(database: str | None) -> None:
    if not database or database == ":memory:":
        raise ValueError("names no file, and a database in memory cannot be shared by app and worker")
    if not Path(database).absolute().parent.is_dir():
        raise ValueError(f"names a file in {str(Path(database).parent)!r}, a directory that does not exist")


def _require_limit(text: str) -> None:
    try:
        limits.parse(text)
    except ValueError:
        raise ValueError(f"contains {text!r}, which is not a limit such as '60/minute'") from None


def load_settings() -> Settings:
    """Read the settings.

    Raises:
        SettingsError: with every wrong setting, its value and the remedy.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(dict(item)) for item in error.errors())) from None


def _explain(item: dict[str, Any]) -> str:
    """Turn one pydantic error into `NAME=value reason; set it to …`."""
    reason = str(item["msg"]).removeprefix("Value error, ")
    if not item["loc"]:
        return reason
    field = str(item["loc"][0])
    remedy = f"set {field.upper()} to {Settings.model_fields[field].description}"
    if item["type"] == "missing":
        return f"{field.upper()} is not set: {remedy}"
    where = "".join(f"[{part}]" for part in item["loc"][1:])
    return f"{field.upper()}{where}={_shown(field, item.get('input'))!r} {reason}: {remedy}"


def _shown(field: str, value: object) -> object:
    """Show a setting's value without the password it may contain."""
    if field.endswith(("_key", "_token")):
        return "***"
    if field.endswith("_url") and "@" in str(value):
        return f"***@{str(value).rpartition('@')[2]}"
    return value


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Return the settings of this process, read once."""
    return load_settings()
