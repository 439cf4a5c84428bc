"""The checks of a joint test in their order, each of one clause (docs/spec/node-interface.md §8).

A check returns what it saw, or raises: ``Failed``, or a refusal of the verifier, of the schemas, of an endpoint.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from crosschain.conformance import objects
from crosschain.conformance.examination import MAX_OBJECTS, Examination, Failed
from crosschain.jrt0314 import verifier
from crosschain.jrt0314.endpoint import EndpointAway, Paths, snapshot_path

_UNKNOWN: Final = 1_000_000
_TRANSACTIONS: Final = 8


def tls(exam: Examination) -> str:
    """§4.1: protected by TLS; plaintext at most inside one machine."""
    open_ = [one.name for one in exam.endpoints if not one.secure]
    if open_:
        raise Failed(f"{open_[0]} answers in plaintext", "offer HTTPS")
    return "all endpoints are protected"


def endpoints(exam: Examination) -> str:
    """§6.1: at least two different full nodes."""
    names = {one.name for one in exam.endpoints}
    if len(names) < 2:
        raise Failed("one endpoint", "name the interfaces of two different nodes")
    for number in range(len(exam.endpoints)):
        exam.json(exam.paths.networks, number)
    return f"{len(names)} endpoints answer"


def networks(exam: Examination) -> str:
    """Table 3, first row."""
    rows = verifier.member(exam.json(exam.paths.networks), "networks", list, "networks")
    names = []
    for row in rows:
        names.append(verifier.member(row, "network_id", str, "networks"))
        info = verifier.member(row, "info", dict, "networks")
        verifier.texts(row, "subnets", "networks")
        if names[-1] == exam.paths.network_id:
            exam.genesis_hash = str(info.get("genesis_hash", ""))[:128]
    if exam.paths.network_id not in names or len(set(names)) != len(names):
        raise Failed(f"network {exam.paths.network_id} does not stand in the list exactly once", "list every network")
    return f"{len(names)} networks"


def options(exam: Examination) -> str:
    """Table 3, second row."""
    answer = exam.json(exam.paths.of("options"))
    version = verifier.member(answer, "node_version", str, "options")
    for row in verifier.member(answer, "operations", list, "options"):
        name = verifier.member(row, "type", str, "options")
        statuses = verifier.texts(row, "statuses", f"options/{name}")
        if name in exam.types or not statuses:
            raise Failed(f"operation {name} stands twice or has no result states", "list every type with its states")
        exam.types[name] = frozenset(statuses)
    if not version or not exam.types:
        raise Failed("no version of the node, or no operations", "state both")
    return f"version {version[:40]}, {len(exam.types)} operation types"


def status(exam: Examination) -> str:
    """Table 3, third row."""
    for number in range(len(exam.endpoints)):
        answer = exam.json(exam.paths.of("status"), number)
        verifier.member(answer, "height", int, "status")
        verifier.hexadecimal(answer, "hash", "status", 32)
        verifier.member(answer, "timestamp", int, "status")
        verifier.texts(answer, "peers", "status")
        exam.statuses.append(answer)
    exam.find_heights()
    return f"height {exam.tip}"


def unknown_network(exam: Examination) -> str:
    """An unknown network is not found."""
    exam.refuses(Paths(f"{exam.paths.network_id}-unknown").of("status"))
    return "404"


def above_tip(exam: Examination) -> str:
    """A height above the newest final block is not found."""
    exam.refuses(exam.paths.block(exam.tip + _UNKNOWN))
    exam.refuses(exam.paths.state(exam.tip + _UNKNOWN))
    return "404"


def block(exam: Examination) -> str:
    """Table 4, first row."""
    wanted = {*exam.heights, *(height - 1 for height in exam.above_genesis())}
    for height in sorted(wanted):
        found = exam.blocks[height] = verifier.read_block(exam.json(exam.paths.block(height)), height)
        if height == 0 and (found.prev_height, found.prev_hash) != (None, None):
            raise Failed("the first block names one before it", "answer null for both")
    return f"heights {min(wanted)} to {max(wanted)}, {len(wanted)} of them"


def chain(exam: Examination) -> str:
    """Table 4: previous height and hash."""
    for height in exam.above_genesis():
        verifier.check_follows(exam.blocks[height], exam.blocks[height - 1])
    return f"{len(exam.above_genesis())} blocks follow the one before"


def block_size(exam: Examination) -> str:
    """§6.1: at most 16 MB."""
    for height, found in exam.blocks.items():
        verifier.check_size(found, len(exam.ask(exam.paths.block(height)).body))
    return "no block above 16,000,000 bytes"


def transaction(exam: Examination) -> str:
    """Table 4, second row."""
    places = [(height, tx_id) for height in exam.heights for tx_id in exam.blocks[height].tx_ids][-_TRANSACTIONS:]
    if not places:
        raise Failed("no block looked at has a transaction", "have some business done, then test again")
    for height, tx_id in places:
        answer, where = exam.json(exam.paths.tx(height, tx_id)), f"tx {tx_id}"
        if verifier.member(answer, "tx_id", str, where) != tx_id:
            raise Failed(f"{where}: another transaction was answered")
        operations = verifier.member(answer, "operations", list, where)
        for row in operations:
            name, result = (verifier.member(row, member, str, where) for member in ("type", "result"))
            if result not in exam.types.get(name, ()):
                raise Failed(f"{where}: {name} with result {result} is none of the options", "list it in the options")
    exam.refuses(exam.paths.tx(places[0][0], "0" * len(places[0][1])))
    return f"{len(places)} transactions"


def state(exam: Examination) -> str:
    """Table 5: roots, keys, votes."""
    for number in range(len(exam.endpoints)):
        for height in exam.above_genesis():
            found = verifier.read_consensus(exam.json(exam.paths.state(height), number), height)
            exam.states[number, height] = found
    return f"{len(exam.states)} consensus states"


def consensus(exam: Examination) -> str:
    """§6.1: fault tolerant, such as Byzantine fault tolerant: four nodes at least."""
    least = min(len(found.validators) for found in exam.states.values())
    if least < 4:
        raise Failed(f"{least} consensus nodes tolerate no fault", "run four consensus nodes or more")
    return f"{least} consensus nodes or more"


def quorum(exam: Examination) -> str:
    """Table 5: who voted."""
    for found in exam.states.values():
        verifier.check_votes(found)
    return "every height has a quorum of its validators"


def signatures(exam: Examination) -> str:
    """Table 5: the list of signatures."""
    for found in exam.states.values():
        verifier.check_signatures(found)
    return f"{sum(len(found.signatures) for found in exam.states.values())} signatures verify"


def header_hash(exam: Examination) -> str:
    """Table 5: the signed data is over the block's hash, the hash over its header."""
    for (_, height), found in exam.states.items():
        verifier.check_header(exam.blocks[height], found)
    return "headers hash to what was signed"


def roots(exam: Examination) -> str:
    """Table 5: state root and transaction root are those of the header."""
    for (_, height), found in exam.states.items():
        verifier.check_roots(exam.blocks[height], found)
    return "roots stand in the signed headers"


def status_final(exam: Examination) -> str:
    """The status describes a final block."""
    for number, answer in enumerate(exam.statuses):
        found = exam.json(exam.paths.block(answer["height"]), number)
        if (found.get("hash"), found.get("timestamp")) != (answer["hash"], answer["timestamp"]):
            raise Failed(f"endpoint {number + 1}: the status is not that of block {answer['height']}")
    return "the status is that of the newest block"


def endpoints_equal(exam: Examination) -> str:
    """§6.1: two nodes, one chain."""
    compared = 0
    for height in exam.heights:
        paths = [exam.paths.block(height), exam.paths.ids(height)]
        paths += [exam.paths.object(height, name) for name in exam.ids.get(height, ())[:MAX_OBJECTS]]
        for path in paths:
            compared += 1
            first = exam.json(path)
            if any(exam.json(path, number) != first for number in range(1, len(exam.endpoints))):
                raise Failed(f"GET {path}: the endpoints differ", "find out which node is wrong before anything else")
        if height and any(_unvoted(exam, height, n) != _unvoted(exam, height, 0) for n in range(len(exam.endpoints))):
            raise Failed(f"state {height}: the endpoints differ beyond the votes")
    return f"{compared} answers are equal"


def _unvoted(exam: Examination, height: int, endpoint: int) -> dict[str, object]:
    return {name: value for name, value in exam.json(exam.paths.state(height), endpoint).items() if name != "votes"}


def authentication(exam: Examination) -> str:
    """§4.1: nobody is answered without credentials, or with wrong ones."""
    paths = [exam.paths.networks, exam.paths.of("options"), exam.paths.of("status"), exam.paths.block(exam.tip)]
    paths += [exam.paths.state(exam.tip), exam.paths.ids(exam.tip)]
    paths += [snapshot_path(one.record.object_id, one.record.version) for one in exam.anchored[:1]]
    for number in range(len(exam.endpoints)):
        for path in paths:
            for credentials in ("none", "wrong"):
                try:
                    answer = exam.once(path, number, credentials)
                except EndpointAway:
                    continue  # the connection itself was refused
                if answer.status != 401:
                    raise Failed(
                        f"GET {path} with {credentials} credentials: status {answer.status} where 401 is expected",
                        "refuse callers that are not known with 401, before looking at what they ask for",
                    )
    return f"{len(paths)} functions refuse strangers"


Check = Callable[[Examination], str]
CONSTRAINTS, TABLE_3, TABLE_4, TABLE_5, TABLE_6 = (
    f"7 {part}" for part in ("constraints", "table 3", "table 4", "table 5", "table 6")
)
HEADER, LIFE, STORAGE, QUERY, VALIDATION = (
    f"6 {part}" for part in ("tables 1, 2", "life of an object", "storage", "query interface", "validation")
)


@dataclass(frozen=True, slots=True)
class Case:
    """A check, the clause it is of, and the checks whose failure leaves it nothing to look at."""

    clause: str
    check: Check
    needs: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The check's name."""
        return self.check.__name__.rstrip("_")


CASES: Final = (
    Case(QUERY, tls),
    Case(CONSTRAINTS, endpoints, ("tls",)),
    Case(TABLE_3, networks, ("endpoints",)),
    Case(TABLE_3, options, ("endpoints",)),
    Case(TABLE_3, status, ("endpoints",)),
    Case(TABLE_3, unknown_network, ("endpoints",)),
    Case(TABLE_3, above_tip, ("status",)),
    Case(TABLE_4, block, ("status",)),
    Case(TABLE_4, chain, ("block",)),
    Case(CONSTRAINTS, block_size, ("block",)),
    Case(TABLE_4, transaction, ("block", "options")),
    Case(TABLE_5, state, ("status",)),
    Case(CONSTRAINTS, consensus, ("state",)),
    Case(TABLE_5, quorum, ("state",)),
    Case(TABLE_5, signatures, ("quorum",)),
    Case(TABLE_5, header_hash, ("state", "block")),
    Case(TABLE_5, roots, ("header_hash", "chain")),
    Case(TABLE_3, status_final, ("status", "block")),
    Case(TABLE_6, objects.ids, ("status",)),
    Case(TABLE_6, objects.object_, ("ids",)),
    Case(TABLE_6, objects.merkle_proof, ("object", "roots")),
    Case(CONSTRAINTS, endpoints_equal, ("block", "state", "object")),
    Case(STORAGE, objects.off_chain_hash, ("object",)),
    Case(QUERY, objects.snapshot_query, ("off_chain_hash",)),
    Case(HEADER, objects.envelope, ("off_chain_hash",)),
    Case(HEADER, objects.seal, ("envelope",)),
    Case(LIFE, objects.lifecycle, ("envelope", "snapshot_query")),
    Case(VALIDATION, objects.schema, ("envelope", "snapshot_query")),
    Case(QUERY, authentication, ("status",)),
)
"""In this order. What a chain's operator is told to mend first comes first."""
