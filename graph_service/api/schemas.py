"""Request and response models: member names in camelCase, times in ISO 8601."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from graph_service.model import model
from graph_service.model.ids import UserId
from graph_service.model.timestamps import microseconds, milliseconds, seconds

Name = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""A display name: 1 to 128 characters, no control characters."""
Limit = Annotated[int, Field(ge=1, le=1000, description="How many at most.")]
After = Annotated[str | None, Field(max_length=1024, description="'next' of the page before.")]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Next = Annotated[str | None, Field(description="Send it as 'after' for the next page; null on the last.")]


class ResponseModel(BaseModel):
    """A response body."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, serialize_by_alias=True)


class RequestModel(BaseModel):
    """A request body or query. Unknown members are refused, since they would be ignored silently."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=False, extra="forbid")


class PageQuery(RequestModel):
    """Selects a page of a list."""

    after: After = None
    limit: Limit = 100


class FriendsQuery(PageQuery):
    """Selects friends by state."""

    state: Literal["all", "online", "offline"] = "all"


class RequestsQuery(PageQuery):
    """Selects incoming or outgoing requests."""

    direction: Literal["in", "out"] = "in"


class SuggestionsQuery(RequestModel):
    """How many suggestions."""

    limit: Annotated[int, Field(ge=1, le=100)] = 20


# A plain dataclass, not frozen: a page has up to a thousand friends, and pydantic models would double its time.
@dataclass(slots=True)
class Friend:
    """A friend."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(alias_generator=to_camel)

    id: str
    name: str
    online: bool
    last_seen: Annotated[Time | None, Field(description="null when never seen")]
    since: Annotated[Time | None, Field(description="null when not known")]

    @classmethod
    def of(cls, row: model.FriendRow) -> Friend:
        return cls(row.id, row.name, row.online, milliseconds(row.last_seen), seconds(row.since))


class FriendPage(ResponseModel):
    """A page of friends, read at `ts`."""

    friends: list[Friend]
    next: Next
    ts: Time
    total: int | None = None
    """Of all pages, where it is known without counting."""


class FriendDetail(ResponseModel):
    """One friend, read at `ts`, with the number of friends in common."""

    id: str
    name: str
    online: bool
    last_seen: Annotated[Time | None, Field(description="null when never seen")]
    since: Annotated[Time | None, Field(description="null when not known")]
    mutual_count: int
    ts: Time

    @classmethod
    def of(cls, found: model.FriendDetail) -> FriendDetail:
        row = asdict(Friend.of(found.friend))
        return cls(**row, mutual_count=found.mutual, ts=microseconds(found.ts))


class Outcome(ResponseModel):
    """The relation of the caller to the other user now, and whether this call changed it."""

    user: str
    state: model.State
    changed: bool

    @classmethod
    def of(cls, user: str, outcome: model.Outcome) -> Outcome:
        return cls(user=user, state=outcome.state, changed=outcome.changed)


class Relation(ResponseModel):
    """A user on a list of requests or blocks."""

    id: str
    name: str
    at: Time | None

    @classmethod
    def of(cls, row: model.Relation) -> Relation:
        return cls(id=row.id, name=row.name, at=milliseconds(row.at))


class RequestPage(ResponseModel):
    """A page of pending requests."""

    requests: list[Relation]
    next: Next


class BlockPage(ResponseModel):
    """A page of the users whom the caller blocks."""

    blocks: list[Relation]
    next: Next


class Mutual(ResponseModel):
    """A friend in common."""

    id: str
    name: str
    online: bool


class Suggestion(ResponseModel):
    """A user whom the caller may know, and why."""

    id: str
    name: str
    online: bool
    mutual_count: int
    mutuals: list[Mutual]
    """The first three."""

    @classmethod
    def of(cls, row: model.Suggestion) -> Suggestion:
        mutuals = [Mutual(id=one.id, name=one.name, online=one.online) for one in row.mutuals]
        return cls(
            id=row.id, name=row.name, online=row.online, mutual_count=row.mutual_count, mutuals=mutuals
        )


class SuggestionPage(ResponseModel):
    """Suggestions, most mutual friends first. `kept`: the ranking was cached at `calculatedAt` and is still valid."""

    suggestions: list[Suggestion]
    next: Next = None
    calculated_at: Time
    kept: bool


class Sync(ResponseModel):
    """The payload of friends.sync: all friends who are online as of `ts`."""

    online_friends: list[str]
    total_friends: int
    total_online: int
    ts: Time

    @classmethod
    def of(cls, view: model.SyncView) -> Sync:
        return cls(
            online_friends=list(view.online_friends),
            total_friends=view.total_friends,
            total_online=len(view.online_friends),
            ts=microseconds(view.ts),
        )


class PairRequest(RequestModel):
    """A friendship to create."""

    a: UserId
    b: UserId
    since: AwareDatetime | None = None

    def pair(self) -> model.Pair:
        return model.Pair(self.a, self.b, int(self.since.timestamp()) if self.since else 0)


class PairsRequest(RequestModel):
    """Friendships to create."""

    pairs: Annotated[list[PairRequest], Field(min_length=1, max_length=1000)]


class PairResult(ResponseModel):
    """The result for one pair."""

    a: str
    b: str
    result: model.PairOutcome
    reason: str

    @classmethod
    def of(cls, row: model.PairResult) -> PairResult:
        return cls(a=row.a, b=row.b, result=row.result, reason=row.reason)


class PairResults(ResponseModel):
    """One result for each pair, in the order of the request."""

    results: list[PairResult]


class IdsRequest(RequestModel):
    """The users to look up."""

    ids: Annotated[list[UserId], Field(min_length=1, max_length=500)]


class Presence(ResponseModel):
    """A user's settled state."""

    id: str
    online: bool
    last_seen: Time | None

    @classmethod
    def of(cls, row: model.Presence) -> Presence:
        return cls(id=row.id, online=row.online, last_seen=milliseconds(row.last_seen))


class Presences(ResponseModel):
    """The states of the users who exist."""

    presence: list[Presence]
    unknown: list[str]


class ProfileRequest(RequestModel):
    """A user's profile."""

    name: Name


class Status(ResponseModel):
    """Whether the process is alive, or ready."""

    status: str
