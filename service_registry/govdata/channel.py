"""The publisher's side of the government-data channel: verify, count, ask the bureau, prove
(docs/spec/government-data.md §4, §7).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from chain_core.codec.seen import state_key
from chain_core.crypto.hashing import sm3
from chain_core.network.refusals import Unavailable
from chain_core.types.errors import DualchainError, InvalidProof
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from contracts.codes.regions import REGIONS
from contracts.kernel.codes import CREDIT_CODE, code_key
from contracts.kernel.records import KERNEL
from crosschain.identity.authorisation import (
    Authorisation,
    DataRequest,
    NotAuthorised,
    check_covers,
    names_enterprise,
    nonce_of,
    read_authorisation,
)
from crosschain.identity.credentials import CredentialRefused, Presentation, parsed, verify_presentation
from crosschain.identity.data_uses import (
    GOVDATA,
    Use,
    bureau_place,
    decode_begun,
    decode_bureau,
    decode_granted,
    decode_use,
    full_key,
    grant_place,
    request_place,
    use_place,
)
from crosschain.identity.data_uses import Bureau as NamedBureau
from crosschain.identity.did import NoDid, parse_did
from crosschain.identity.known import Known
from crosschain.identity.records import (
    DATA_AUTHORIZATION,
    REVOKED,
    credential_key,
    decode_credential,
    decode_did,
    did_key,
)
from crosschain.proven_values import fetch_values
from service_registry.authority import Key
from service_registry.chain import Account, RefusedByChain, RegistryChain
from service_registry.govdata.bureau import Bureau, BureauRefused, BureauUnreachable
from service_registry.govdata.evidence import evidence_question, make_response
from service_registry.govdata.receipts import Query, check_answer
from service_registry.host import ANSWERING, ServiceError

MAX_REQUEST_AGE_MS = 300_000
MAX_RUNNING = 64
_JUDGED_AGAIN = {
    "govdata.used_up": "USED_UP",
    "govdata.revoked": "REVOKED",
    "govdata.over": "CREDENTIAL_DATES",
    "govdata.no_grant": "NOT_GRANTED",
}
"""What changed between the proven reads and the block that counts."""


def refuse(code: str, zh: str, en: str) -> NoReturn:
    """A typed error of the service, in both languages."""
    raise ServiceError(code, f"{zh} / {en}")


@dataclass(frozen=True, slots=True)
class Checked:
    """A request whose authorisation holds."""

    request: DataRequest
    hash: bytes
    authorisation: Authorisation


@dataclass(frozen=True, slots=True)
class Bounds:
    """``clock`` in milliseconds since the epoch; how old a header may be that all is proven under."""

    clock: Callable[[], int]
    max_age_ms: int = 120_000


class Channel:
    """Answers requests for government data. ``chain`` is the market's own, ``above`` the supervisory one."""

    def __init__(
        self, chain: RegistryChain, above: RegistryChain, operator: Account, bureau: Bureau, code: str, bounds: Bounds
    ) -> None:
        """``code``: the bureau's unified social credit code."""
        self._chain, self._above, self._operator = chain, above, operator
        self._bureau, self._code, self._bounds = bureau, code, bounds
        self._label = REGIONS[chain.client.view.genesis.market].label
        self._running = asyncio.Semaphore(MAX_RUNNING)

    async def answer(self, request: Any) -> Any:
        """The response. Raises ServiceError with a code of docs/spec/government-data.md §4."""
        async with self._running:
            if "about" in request:
                return {"about": await self._about()}
            checked = await self._checked(request)
            number, use = await self._begin(checked)
            return await self._ask(checked, number, use)

    async def _about(self) -> dict[str, str]:
        """Whose data are offered."""
        named, view = await self._named_bureau(), self._chain.client.view
        mark = {"market": view.genesis.market, "genesis_hash": view.genesis_hash.hex()}
        return {**mark, "bureau": self._code, "bureau_name": named.name}

    # ---- what is asked, and whether it may be

    async def _checked(self, request: Any) -> Checked:
        now_ms = self._bounds.clock()
        if abs(now_ms - request["time_ms"]) > MAX_REQUEST_AGE_MS:
            refuse("STALE_REQUEST", "请求时间与当前相差超过五分钟", "made more than five minutes from now")
        credential, known = "", Known({}, {})
        try:
            holder, issuer, credential = _named(request["presentation"])
            made = self._request(request, holder, credential)
            hashed = made.hash(self._above.genesis_hash)
            known = await self._known(holder, issuer, credential)
            shown = verify_presentation(request["presentation"], known, now_ms=now_ms, nonce=nonce_of(hashed))
            found = self._authorised(shown, made, now_ms)
            await self._on_record(found, known, hashed)
        except CredentialRefused as refused:
            if refused.code == "status" and known.status("", credential) == REVOKED:
                refuse("REVOKED", f"授权凭证 {credential} 已吊销", f"the authorisation {credential} is revoked")
            refuse(f"CREDENTIAL_{refused.code.upper()}", "授权凭证或出示不成立", refused.detail)
        except NotAuthorised as refused:
            refuse(refused.code, refused.zh, refused.en)
        except DualchainError as error:
            refuse("NO_ANSWER", "未能取得链上证明，请稍后重试", f"the chain's records could not be proven: {error}")
        return Checked(made, hashed, found)

    def _request(self, request: Any, holder: str, credential: str) -> DataRequest:
        call = ANSWERING.get()
        return DataRequest(
            call.service,
            call.consumer,
            holder,
            credential,
            tuple(request["items"]),
            request["purpose"],
            bytes.fromhex(request["reference"]),
            request["time_ms"],
        )

    async def _known(self, holder: str, issuer: str, credential: str) -> Known:
        """Holder, issuer and credential as chains have them on record, under fresh headers."""
        own = await self._proven(self._chain, [did_key(issuer), credential_key(credential), did_key(holder)])
        of_holder = own[2]
        if parse_did(holder).label != self._label:
            (of_holder,) = await self._proven(self._above, [did_key(holder)])
        dids = {issuer: None if own[0] is None else decode_did(own[0])}
        dids[holder] = None if of_holder is None else decode_did(of_holder)
        return Known(dids, {credential: None if own[1] is None else decode_credential(own[1])})

    def _authorised(self, shown: Presentation, made: DataRequest, now_ms: int) -> Authorisation:
        found = read_authorisation(shown.credentials[0])
        check_covers(found, made, self._label, now_ms)
        return found

    async def _on_record(self, found: Authorisation, known: Known, hashed: bytes) -> None:
        """The chain has this credential, its uses, and one that is left or was begun by this request."""
        record = known.credentials[found.credential]
        owner = known.dids[found.owner]
        if record is None or owner is None or record.kind != DATA_AUTHORIZATION:
            refuse("NOT_ON_RECORD", "授权凭证未在链上登记", "the authorisation is not on record")
        if (record.digest, record.issuer, record.subject) != (found.digest, found.owner, found.owner):
            refuse("NOT_ON_RECORD", "授权凭证与链上登记不符", "the credential on record is another one")
        places = [grant_place(found.credential), request_place(hashed)]
        keys = [*map(full_key, places), state_key(KERNEL, code_key(CREDIT_CODE, found.credit_code))]
        grant, begun, leads_to = await self._proven(self._chain, keys)
        if not names_enterprise(found, owner.account, leads_to):
            refuse("OTHER_ENTERPRISE", "统一社会信用代码不是授权企业的", "the credit code is not the enterprise's")
        granted = None if grant is None else decode_granted(grant)
        if granted is None or granted.uses != found.uses:
            refuse("NOT_GRANTED", "授权使用次数未登记或不符", "its uses are not on record as it says")
        if granted.used >= granted.uses and begun is None:
            refuse("USED_UP", f"授权的 {granted.uses} 次已用完", f"all {granted.uses} uses are begun")

    async def _proven(self, chain: RegistryChain, keys: list[bytes]) -> list[bytes | None]:
        header, values = await chain.client.state(keys)
        age_ms = self._bounds.clock() - header.time_ms
        if age_ms > self._bounds.max_age_ms:
            raise Unavailable(f"the newest header is {age_ms} ms old", where="state", next_step="look at the nodes")
        return values

    # ---- counting, asking

    async def _begin(self, checked: Checked) -> tuple[int, Use]:
        """The number of this request's use, begun now or before."""
        credential = checked.authorisation.credential
        place = (GOVDATA, request_place(checked.hash))
        args: dict[str, Value] = {"credential": credential, "request": checked.hash}
        begins = Operation(GOVDATA, "begin", {**args, "consumer": checked.request.consumer})
        try:
            raw = (await self._chain.values([place]))[place]
            if raw is None:
                raw = await self._begun(begins, place)
            number = decode_begun(raw)
            use = (GOVDATA, use_place(credential, number))
            found = (await self._chain.values_when([use], lambda values: values[use] is not None))[use]
            return number, decode_use(found or b"")
        except RefusedByChain as refused:
            code = _JUDGED_AGAIN.get(refused.rule, "NOT_COUNTED")
            refuse(code, "链上登记使用次数时被拒绝", f"the chain refused to count the use: {refused.what}")
        except DualchainError as error:
            refuse("NOT_COUNTED", "本次使用未能上链登记，请用同一请求重试", f"not on the chain: {error}")

    async def _begun(self, begins: Operation, place: Key) -> bytes:
        """What the chain has for the request once the use is counted, by this host or by another one at once."""
        try:
            await self._chain.submit(self._operator, [begins])
        except RefusedByChain as refused:
            if refused.rule != "govdata.begun":
                raise
        return (await self._chain.values_when([place], lambda values: values[place] is not None))[place] or b""

    async def _ask(self, checked: Checked, number: int, use: Use) -> Any:
        query = self._query(checked)
        named = await self._named_bureau()
        try:
            answer = await self._bureau.ask(query)
            receipt = check_answer(answer, query, self._chain.genesis_hash, named.key)
        except BureauUnreachable as error:
            refuse("BUREAU_UNREACHABLE", "政务数据系统未应答，请用同一请求重试", error.what)
        except BureauRefused as error:
            refuse("BUREAU_REFUSED", "政务数据系统拒绝提供", error.what)
        except InvalidProof as error:
            refuse("BAD_RECEIPT", "主管部门回执无效", f"{error.what} ({error.where})")
        hashed = sm3(answer.receipt)
        if use.settled and use.receipt != hashed:
            refuse("BAD_RECEIPT", "主管部门此前出具了另一份回执", "the bureau gave another receipt before")
        try:
            height = 0 if use.settled else await self._settle(query.authorisation, number, hashed)
            question = evidence_question(query.authorisation, number, self._code)
            evidence = await fetch_values(self._chain.client, question, not_below=height)
        except DualchainError as error:
            refuse("NOT_COUNTED", "回执未能上链登记，请用同一请求重试", f"not on the chain: {error}")
        return make_response(self._chain.client.view, number, query, named.name, answer, receipt, evidence)

    def _query(self, checked: Checked) -> Query:
        found, request = checked.authorisation, checked.request
        return Query(
            checked.hash,
            self._code,
            found.credit_code,
            request.items,
            request.purpose,
            found.credential,
            found.digest,
            request.holder,
            request.time_ms,
        )

    async def _named_bureau(self) -> NamedBureau:
        try:
            (raw,) = await self._proven(self._chain, [full_key(bureau_place(self._code))])
        except DualchainError as error:
            refuse("NO_ANSWER", "未能取得链上证明，请稍后重试", f"the chain's records could not be proven: {error}")
        if raw is None:
            refuse("BAD_RECEIPT", f"数据主管部门 {self._code} 未登记", "the bureau is not named on the chain")
        return decode_bureau(raw)

    async def _settle(self, credential: str, number: int, receipt: bytes) -> int:
        """The receipt is final on the chain; at which height. Raises what submitting raises."""
        args: dict[str, Value] = {"credential": credential, "number": number, "bureau": self._code, "receipt": receipt}
        done = await self._chain.submit(self._operator, [Operation(GOVDATA, "settle", args)])
        return done.header.height


def _named(presentation: str) -> tuple[str, str, str]:
    """(holder, issuer, credential) as the presentation names them. Raises CredentialRefused, NotAuthorised."""
    document = parsed(presentation)
    shown = document.get("verifiableCredential")
    listed = shown if isinstance(shown, list) else [shown]
    if len(listed) != 1 or not isinstance(listed[0], dict):
        raise NotAuthorised("NOT_ONE_AUTHORISATION", "须出示恰好一份授权凭证", "exactly one credential is presented")
    holder, issuer, credential = document.get("holder"), listed[0].get("issuer"), listed[0].get("id")
    try:
        for did in (holder, issuer):
            parse_did(did if isinstance(did, str) else "")
    except NoDid as error:
        raise CredentialRefused("bad_did", f"holder or issuer: {error}") from error
    if not isinstance(credential, str):
        raise CredentialRefused("shape", "id is missing")
    return str(holder), str(issuer), credential
