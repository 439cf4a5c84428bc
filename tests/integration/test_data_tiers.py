"""Limited data is unreadable for validators; private data whose key and salt are destroyed opens from no backup."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import plyvel
import pytest
from moto.server import ThreadedMotoServer

from chain_core.codec.seen import state_key
from chain_core.crypto.errors import CryptoError, KeyFileRefused
from chain_core.crypto.keys import load_private_key
from chain_core.crypto.sm2_encryption import sm2_decrypt
from chain_core.types.errors import DualchainError
from contracts.data.records import DATA, Descriptor, Grant, OwnWrap, decode
from local_chain.data import items
from local_chain.data.errors import NotReleased, VaultFault
from local_chain.data.items import Place
from local_chain.data.store import ObjectStore
from local_chain.data.vault import Vault
from service_registry.chain import RefusedByChain
from tests.integration.data_house import DataHouse, data_house, files_below
from tests.integration.network import NAMES, drawn_ports, now_ms

pytestmark = pytest.mark.integration

SECRET = "股东间协议：第三条之对赌条款 the side letter".encode()
PLAIN = "公司章程 articles of association".encode()
CARD = b"110101199001011234 identity card, scanned"
DAY_MS = 86_400_000


def tell(directory: Path, story: Callable[[DataHouse], Awaitable[None]]) -> None:
    async def main() -> None:
        async with data_house(directory) as house:
            await story(house)

    asyncio.run(main())


def database_of(house: DataHouse, name: str) -> dict[bytes, bytes]:
    """Everything a stopped node has, as its disk's owner would read it."""
    found: dict[bytes, bytes] = {}
    for manifest in [path for path in files_below(house.directory / name) if path.name == "CURRENT"]:
        database = plyvel.DB(str(manifest.parent), create_if_missing=False)
        found.update(database.iterator())
        database.close()
    assert found
    return found


def keys_of(house: DataHouse, name: str) -> list[bytes]:
    """Every private key in a node's folder."""
    found = []
    for path in files_below(house.directory / name):
        try:
            found.append(bytes(load_private_key(path)))
        except (KeyFileRefused, UnicodeDecodeError):
            continue
    assert len(found) >= 1
    return found


def opened_with(values: dict[bytes, bytes], identity: bytes, place: Place, keys: list[bytes]) -> list[bytes]:
    """Contents that these private keys get out of the node's state: each wrap with each key, layer by layer."""

    def value(own: bytes) -> bytes:
        (found,) = {raw for key, raw in values.items() if key.endswith(state_key(DATA, own))}
        return found

    wraps = [decode(OwnWrap, value(b"o" + identity)).wrap]
    grants = {raw for key, raw in values.items() if state_key(DATA, b"g" + identity) in key}
    wraps += [wrap for raw in grants for wrap in decode(Grant, raw).wraps]
    sealed, descriptor = value(b"b" + identity), decode(Descriptor, value(b"d" + identity))
    contents, layers = [], list(wraps)
    for key in keys:
        layers += [key, key[:16], key[16:]]
    for depth in range(2):
        for key, layer in itertools.product(keys, tuple(layers)):
            try:
                plain = sm2_decrypt(key, layer)
            except CryptoError:
                continue
            layers += [plain, plain[32:]] if not depth else [plain]
    for layer in layers:
        if len(layer) == 16:
            try:
                contents.append(items.open_limited(place, layer, sealed, descriptor.commitment))
            except DualchainError:
                continue
    return contents


def test_limited_data_in_the_databases_of_validators(tmp_path: Path) -> None:
    """Must show 4, second half: no key of a node opens what its LevelDB holds; the reader's and custodian's do."""
    made: dict[str, bytes] = {}

    async def story(house: DataHouse) -> None:
        readers = {house.account("ann"): now_ms() + DAY_MS}
        made["public"] = (await house.owner().publish("disclosure", PLAIN)).identity
        sealed = await house.owner().seal("agreement", SECRET, readers)
        made["limited"] = sealed.identity
        read = await house.reader("ann").get(sealed.identity, "business")
        assert read.content == SECRET and read.height > sealed.receipt.header.height
        await house.until(read.height)

    directory = tmp_path / "chain"
    tell(directory, story)
    house = DataHouse(directory)
    place = Place(house.view.genesis_hash, 0, made["limited"], 1)
    for name in NAMES:
        values, keys = database_of(house, name), keys_of(house, name)
        everything = b"\0".join(itertools.chain(values.keys(), values.values()))
        assert PLAIN in everything, "public data is there in plain: the search sees values"
        assert SECRET not in everything and SECRET[:16] not in everything
        assert opened_with(values, made["limited"], place, keys) == []
    people = [house.sealing(one).private for one in ("ann", "custodian")]
    assert opened_with(values, made["limited"], place, people) == [SECRET]
    assert opened_with(values, made["limited"], place, people[:1]) == [], "a reader alone has an unopened layer"
    assert opened_with(values, made["limited"], place, people[1:]) == [], "a custodian alone has none of the content"


def test_limited_data_is_released_after_the_record_and_withdrawn_by_a_new_version(tmp_path: Path) -> None:
    async def story(house: DataHouse) -> None:
        owner, ann, bo = house.owner(), house.account("ann"), house.account("bo")
        identity = (await owner.seal("agreement", SECRET, {ann: now_ms() + DAY_MS})).identity
        for name, code in (("ann", "NOT_RECORDED"), ("bo", "NO_GRANT")):
            with pytest.raises(DualchainError) as refused:
                await house.reader(name).fetch(identity, 0)
            assert refused.value.code == code
        with pytest.raises(RefusedByChain) as by_chain:
            await house.reader("bo").get(identity, "business")
        assert by_chain.value.rule == "data.no_grant"
        await owner.grant(identity, bo, now_ms() + DAY_MS)
        for name in ("ann", "bo"):
            assert (await house.reader(name).get(identity, "audit")).content == SECRET
        await owner.withdraw(identity, ann)
        with pytest.raises(DualchainError) as refused:
            await house.reader("ann").fetch(identity, 0)
        assert refused.value.code == "NO_GRANT"
        present = await house.chain.readers(identity)
        assert present.descriptor.version == 2 and set(present.grants) == {bo}
        with pytest.raises(DualchainError) as refused:
            await house.reader("bo").fetch(identity, 0)
        assert refused.value.code == "NOT_RECORDED", "each version's access is recorded"
        assert (await house.reader("bo").get(identity, "audit")).content == SECRET
        assert await owner.content(identity, present.descriptor) == SECRET

    tell(tmp_path / "chain", story)


def test_an_outer_layer_opens_under_its_own_object_only(tmp_path: Path) -> None:
    """A confederate owner copies another object's wrap into an object of his own."""

    async def story(house: DataHouse) -> None:
        ann, end = house.account("ann"), now_ms() + DAY_MS
        identity = (await house.owner().seal("agreement", SECRET, {ann: end})).identity
        (theirs,) = (await house.chain.readers(identity)).grants.values()
        other = (await house.owner().seal("agreement", b"bait", {})).identity
        row = {"reader": ann, "key": house.sealing("ann").public, "expires_ms": end, "wraps": list(theirs.wraps)}
        await house.chain.data(house.who("owner"), "share", object=other, version=1, grants=[row])
        height = await house.reader("ann").record(other, 1, "business")
        with pytest.raises(DualchainError) as refused:
            await house.reader("ann").fetch(other, height)
        assert refused.value.code == "BAD_CONTEXT"

    tell(tmp_path / "chain", story)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Any]]:
    """Endpoint and client of an S3 server whose bucket keeps every version."""
    for name, value in {"ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "test", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    (port,) = drawn_ports(1)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    try:
        endpoint = f"http://127.0.0.1:{port}"
        client = boto3.client("s3", endpoint_url=endpoint)
        client.create_bucket(Bucket="market-bj")
        client.put_bucket_versioning(Bucket="market-bj", VersioningConfiguration={"Status": "Enabled"})
        yield endpoint, client
    finally:
        server.stop()


def test_private_data_in_a_versioned_bucket(tmp_path: Path, bucket: tuple[str, Any]) -> None:
    """Must show 4, first half: after key and salt are destroyed no copy opens; commitment and record remain."""
    endpoint, s3 = bucket

    async def story(house: DataHouse) -> None:
        house.store = ObjectStore.bucket("market-bj", endpoint)
        releaser = house.releaser()
        made = await house.owner().deposit("identity", CARD, house.archive())
        identity, before = made.identity, await house.chain.descriptor(made.identity)
        await house.owner().grant(identity, house.account("ann"), now_ms() + DAY_MS)
        height = await house.reader("ann").record(identity, 1, "business")
        released = await fetched(releaser, identity, house.account("ann"), height)
        place = house.chain.place(identity, before)
        ann = house.sealing("ann").private
        assert items.unpack(place, house.account("ann"), ann, released, before.commitment) == CARD
        # Backups of everything that may be backed up, and what a thief of the custodian's keys would have.
        shutil.copytree(house.vault_folder, house.directory / "vault-backup")
        (version,) = s3.list_object_versions(Bucket="market-bj")["Versions"]
        assert Vault(house.directory / "vault-backup", house.key_folders, house.vault_key).get(identity) is not None

        await house.owner().delete(identity, "request")
        with pytest.raises(NotReleased) as refused:
            await fetched(releaser, identity, house.account("ann"), 0)
        assert refused.value.code == "NOT_ACTIVE"
        assert await releaser.sweep() == [identity]

        after, record = await house.chain.descriptor(identity), await house.chain.deletion(identity)
        assert after.status == "deleted" and after.commitment == before.commitment
        assert record is not None and record.reason == "request" and record.destroyed_height > record.ordered_height
        old = s3.get_object(Bucket="market-bj", Key=version["Key"], VersionId=version["VersionId"])["Body"].read()
        assert len(old) == 28 + (1 << before.size_class), "the old version is still there, sealed"
        with pytest.raises(VaultFault, match="never opens again"):
            Vault(house.directory / "vault-backup", house.key_folders, house.vault_key).entries()
        assert house.vault().entries() == {}
        assert no_secret_left(house, place, old, before.commitment)

    tell(tmp_path / "chain", story)


async def fetched(releaser: Any, identity: bytes, reader: bytes, not_below: int) -> items.Package:
    from chain_core._pb.dualchain.data.v1 import data_pb2 as pb

    request = pb.FetchRequest(object=identity, reader=reader, not_below=not_below)
    answer = pb.FetchResponse.FromString(await releaser.fetch(None, request.SerializeToString()))
    return items.Package(answer.wrap, answer.sealed)


def no_secret_left(house: DataHouse, place: Place, sealed: bytes, commitment: bytes) -> bool:
    """Every 16 bytes of every file that is left, of the backup and of the vault, tried as the item's key."""
    folders = (house.vault_folder, house.directory / "vault-backup", *house.key_folders)
    for path in files_below(*folders):
        raw = path.read_bytes()
        for start in range(max(1, len(raw) - 15)):
            try:
                items.unpad(
                    items.unseal(raw[start : start + 16].ljust(16, b"\0"), sealed, items.ITEM + place.associated)
                )
            except DualchainError:
                continue
            return False
    return True


def test_private_data_in_a_folder_and_a_regulators_grant(tmp_path: Path) -> None:
    async def story(house: DataHouse) -> None:
        identity = (await house.owner().deposit("identity", CARD, house.archive())).identity
        shutil.copytree(house.directory / "objects", house.directory / "objects-backup")
        regulator = house.owner("csrc")
        await regulator.grant(identity, house.account("csrc"), now_ms() + DAY_MS)
        read = await house.reader("csrc").get(identity, "supervision")
        assert read.content == CARD
        await house.chain.data(house.who("csrc"), "hold", object=identity, held=True)
        with pytest.raises(RefusedByChain) as refused:
            await house.owner().delete(identity, "request")
        assert refused.value.rule == "data.held"
        await house.chain.data(house.who("csrc"), "hold", object=identity, held=False)
        await house.owner().delete(identity, "retention_over")
        releaser = house.releaser()
        assert await releaser.sweep() == [identity] and await releaser.sweep() == []
        assert not list(files_below(house.directory / "objects"))
        # The store's backup is put back: there is ciphertext, and nothing that opens it.
        shutil.copytree(house.directory / "objects-backup", house.directory / "objects", dirs_exist_ok=True)
        assert house.vault().get(identity) is None
        with pytest.raises(RefusedByChain) as refused:
            await house.reader("csrc").get(identity, "supervision")
        assert refused.value.rule == "data.wrong_state"

    tell(tmp_path / "chain", story)


def test_an_altered_item_is_not_released(tmp_path: Path) -> None:
    async def story(house: DataHouse) -> None:
        identity = (await house.owner().deposit("identity", CARD, house.archive())).identity
        await house.owner().grant(identity, house.account("ann"), now_ms() + DAY_MS)
        (stored,) = files_below(house.directory / "objects")
        raw = stored.read_bytes()
        for damaged, code in ((raw[:-1] + bytes((raw[-1] ^ 1,)), "ITEM_DAMAGED"), (None, "NOT_IN_STORE")):
            if damaged is None:
                stored.unlink()
            else:
                stored.write_bytes(damaged)
            with pytest.raises(DualchainError) as refused:
                await house.reader("ann").get(identity, "business")
            assert refused.value.code == code

    tell(tmp_path / "chain", story)
