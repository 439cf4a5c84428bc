#!/bin/sh
# verify.sh: checks an evidence bundle with openssl 3 and a POSIX shell alone. What each file is: docs/spec/evidence.md;
# the bytes inside: docs/spec/formats.md, whose sections (§) are named here. Integers are big-endian.
#
#   sh verify.sh --anchor HASH [--root HASH] FOLDER
#
# HASH comes from you, not from whoever gave you the bundle: SM3 of the chain's genesis document, or the hash of an
# epoch's validators. --root is SM3 of the root certificate (DER) that you trust, when the bundle has certificates.
# Exit codes: 0 the bundle holds, 1 REFUSED, 2 wrong usage. (--rows: print the summary's rows, for who writes a bundle.)
set -eu
LC_ALL=C OPENSSL_CONF=/dev/null; export LC_ALL OPENSSL_CONF; unset CDPATH; umask 077
wrong() { echo "verify.sh: $1" >&2; exit 2; }
refuse() { echo "REFUSED: $1" >&2; exit 1; }

anchor='' root='' rows=no
while [ $# -gt 1 ]; do
    case $1 in
        --anchor) anchor=$2; shift 2 ;;
        --root) root=$2; shift 2 ;;
        --rows) rows=yes; shift ;;
        *) break ;;
    esac
done
[ $# -eq 1 ] && [ ${#anchor} -eq 64 ] && [ -d "$1" ] || wrong "usage: verify.sh --anchor HASH [--root HASH] FOLDER"
cd -- "$1"; W=$(mktemp -d); trap 'rm -rf "$W"' EXIT; trap 'exit 130' INT TERM

# ---- tools: bytes, hashes, Merkle paths, signatures. All files are read at offsets; H and N are "returned" so.
hex() { od -An -v -tx1 "$@" | tr -d ' \n'; }
sm3() { openssl dgst -sm3 -binary; }
slice() { dd if="$1" bs=1 skip="$2" count="$3" 2>/dev/null; } # FILE OFFSET SIZE
tag() { printf %s "$1"; dd if=/dev/zero bs=1 count=$((32 - ${#1})) 2>/dev/null; } # §3: ASCII, zeros up to 32 bytes
take() { # FILE OFFSET SIZE: these bytes in hexadecimal, in H
    file=$1 digits=$((2 * $3)); set -- $(od -An -v -tx1 -j "$2" -N "$3" "$1" 2> /dev/null); IFS=''; H=$*; unset IFS
    [ ${#H} -eq $digits ] || refuse "$file ends too early"
}
number() { # FILE OFFSET SIZE: an integer, in N; one that a shell cannot count is refused
    take "$@"; case $H in [89a-f]???????????????) refuse "$1: a number of 64 bits" ;; esac; N=$((0x$H))
}
exact() { [ $(($(wc -c < "$1"))) -eq "$2" ] || refuse "$1 is not of $2 bytes"; } # FILE SIZE
climb() { # FILE OFFSET INDEX COUNT (§10, RFC 6962): u8 number of hashes, then these; from $W/node up to the root there
    number "$1" "$2" 1; hashes=$N at=$(($2 + 1)) place=$3 last=$(($4 - 1))
    [ "$place" -le "$last" ] || refuse "$1: index beyond the tree"
    while [ "$last" -gt 0 ]; do
        if [ $((place % 2)) -eq 1 ] || [ "$place" -lt "$last" ]; then
            slice "$1" "$at" 32 > "$W/sibling"; at=$((at + 32)) hashes=$((hashes - 1))
            if [ $((place % 2)) -eq 1 ]; then set -- "$1" "$W/sibling" "$W/node"; else set -- "$1" "$W/node" "$W/sibling"; fi
            { printf '\001'; cat "$2" "$3"; } | sm3 > "$W/parent"; mv "$W/parent" "$W/node"
        fi
        place=$((place / 2)) last=$((last / 2))
    done
    [ "$hashes" -eq 0 ] || refuse "$1: not as many hashes as the tree has levels"
}
under() { # LEAF PROOF HEADER ROOT COUNT: the leaf stands in the tree whose root and count are at these offsets; INDEX
    take "$2" 0 1; [ "$H" = 01 ] || refuse "$2: unknown version"
    number "$2" 1 8; INDEX=$N; number "$2" 9 8; count=$N; number "$3" "$5" 4
    [ "$count" -eq "$N" ] || refuse "$2 is for another number of leaves than the header has"
    { printf '\000'; cat "$1"; } | sm3 > "$W/node"
    climb "$2" 17 "$INDEX" "$count"; exact "$2" "$at"; take "$3" "$4" 32
    [ "$H" = "$(hex "$W/node")" ] || refuse "$2 does not lead to the root in $3"
}
in_state() { # KEY VALUE PROOF HEADER: under the header's state root the key has this value (§10, state proof)
    take "$3" 0 2; [ "$H" = 0101 ] || refuse "$3 is no proof of presence"
    number "$3" 2 4; buckets=$N; number "$3" 6 4; bucket=$N; number "$3" 10 4; entries=$N; number "$3" 15 4; position=$N
    k=$(sm3 < "$1" | hex); v=$(sm3 < "$2" | hex); half=1
    while [ $((2 * half)) -le "$buckets" ]; do half=$((2 * half)); done # linear hashing: which bucket is the key's
    home=$((0x$(printf %s "$k" | cut -c 9-16) % (2 * half))); [ "$home" -lt "$buckets" ] || home=$((home - half))
    [ "$bucket" -eq "$home" ] || refuse "$3 is for another bucket than the key's"
    take "$3" 14 1; [ "$H" = 01 ] || refuse "$3 shows not exactly one entry"
    take "$3" 19 64; [ "$H" = "$k$v" ] || refuse "$3 is about another key or value"
    { printf '\000'; slice "$3" 19 64; } | sm3 > "$W/node"; climb "$3" 83 "$position" "$entries"
    { printf '\002'; slice "$3" 10 4; cat "$W/node"; } | sm3 > "$W/digest"; mv "$W/digest" "$W/node"
    climb "$3" "$at" "$bucket" "$buckets"; exact "$3" "$at"; take "$4" 248 32
    [ "$H" = "$({ tag dualchain/state/v1; slice "$3" 2 4; cat "$W/node"; } | sm3 | hex)" ] || refuse "$3 does not lead to the state root in $4"
}
signed() { # TAG HASH KEYFILE OFFSET SIGNATUREFILE OFFSET: SM2 over tag || genesis hash || SM3(body), which is in HASH
    { tag "$1"; cat "$W/genesis" "$2"; } > "$W/message"
    # the key as DER: 27 fixed octets (SubjectPublicKeyInfo, curve SM2, an uncompressed point), then x || y
    { printf '\060\131\060\023\006\007\052\206\110\316\075\002\001\006\010\052\201\034\317\125\001\202\055\003\102\000\004'
      slice "$3" "$4" 64; } > "$W/key.der"
    take "$5" "$6" 32; r=$H; take "$5" $(($6 + 32)) 32
    printf 'asn1=SEQUENCE:s\n[s]\nr=INTEGER:0x%s\ns=INTEGER:0x%s\n' "$r" "$H" > "$W/rs"
    openssl asn1parse -genconf "$W/rs" -noout -out "$W/rs.der"
    openssl pkeyutl -verify -pubin -keyform DER -inkey "$W/key.der" -rawin -digest sm3 -pkeyopt distid:1234567812345678 \
        -in "$W/message" -sigfile "$W/rs.der" > /dev/null 2>&1 || refuse "a signature in $5 is not valid"
}
# Walks one canonical value (§2.2) and prints a line for each part: offset, size, path, reading. mode=text: all is text.
walk='function byte() { while (f >= NF) { if ((getline) <= 0) exit 1; f = 0 } at++; return $(++f) + 0 }
function count(k,  n) { for (n = 0; k > 0; k--) n = n * 256 + byte(); return n }
function bytes(n, text,  s, x, b, p, q, odd) { # text with control, bidirectional or invisible characters reads as hex
    if (n > 4096) { for (b = n; b > 0; b--) byte(); return "(" n " bytes)" }
    for (; n > 0; n--) { b = byte(); x = x sprintf("%02x", b); if (text) s = s (b > 31 ? sprintf("%c", b) : "")
        if (b < 32 || b == 127 || (p == 194 && b < 160) || (q == 226 && p == 128 && ((b > 138 && b < 144) || (b > 167 && b < 175))) || (q == 226 && p == 129 && b > 159 && b < 176) || (q == 239 && p == 187 && b == 191)) odd = 1
        q = p; p = b }
    return text && !odd ? s : (text ? "hex " : "") x }
function whole(n,  at0) { return n > 6 ? "0x" bytes(n, 0) : sprintf("%.0f", count(n)) }
function value(path,  from, t, n, i, s, key) { from = at; t = byte()
    if (t < 3) { row(from, 1, path, t == 0 ? "none" : t == 1 ? "false" : "true"); return }
    if (t < 5) { n = byte(); s = whole(n); row(from + 2, n, path, (t == 4 ? "-" : "") s); return }
    if (t > 8) exit 1
    n = count(4)
    if (t < 7) { s = bytes(n, t == 6); row(from + 5, n, path, s); return }
    for (i = 0; i < n; i++) { key = i
        if (t == 8) { if (byte() == 6) key = bytes(count(4), 1); else key = whole(byte()) }
        value(path "." key) }
    row(from, at - from, path, t == 7 ? "list of " n : "map of " n) }
function row(o, n, path, s) { printf "%.0f\t%.0f\t%s\t%s\n", o, n, path == "" ? "." : path, s }
BEGIN { if (mode == "text") { print bytes(size, 1); exit 0 } value(""); if (f < NF || (getline) > 0) exit 1 }'
parts() { od -An -v -tu1 "$1" | awk "$walk"; } # FILE
text() { slice "$1" "$2" "$3" | od -An -v -tu1 | awk -v mode=text -v size="$3" "$walk"; } # FILE OFFSET SIZE
fact() { printf '%s\t%s\t%s\n' "$1" "$2" "$3" >> "$W/facts"; } # STATION NAME VALUE
moment() { # MS: UTC, in T (the proleptic Gregorian calendar, counted in eras of 400 years from 1 March)
    d=$(($1 / 86400000 + 719468)) s=$(($1 / 1000 % 86400)); e=$((d % 146097))
    y=$(((e - e / 1460 + e / 36524 - e / 146096) / 365)); o=$((e - (365 * y + y / 4 - y / 100))); m=$(((5 * o + 2) / 153))
    T=$(printf '%04d-%02d-%02dT%02d:%02d:%02dZ' $((y + d / 146097 * 400 + (m > 9))) $((m > 9 ? m - 9 : m + 3)) \
        $((o - (153 * m + 2) / 5 + 1)) $((s / 3600)) $((s / 60 % 60)) $((s % 60)))
}
[ "$(printf abc | sm3 | hex)" = 66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0 ] || wrong "this openssl has no SM3"
openssl ecparam -name SM2 -noout > /dev/null 2>&1 || wrong "this openssl has no SM2"

# ---- 1. exactly the files of its kind
epochs=0; while [ -e "epoch-$((epochs + 1)).set" ]; do epochs=$((epochs + 1)); done
keys=0; while [ -e "key-$((keys + 1)).value" ]; do keys=$((keys + 1)); done
certificates=0; while [ -e "certificate-$((certificates + 1)).der" ]; do certificates=$((certificates + 1)); done
kind=state; [ ! -e receipt.bin ] || kind=receipt; [ ! -e envelope.bin ] || kind=transaction
{
    printf '%s\n' genesis.bin block.header block.certificate; [ $rows = yes ] || echo summary.html
    i=0; while [ $i -lt $epochs ]; do i=$((i + 1)); printf '%s\n' epoch-$i.header epoch-$i.certificate epoch-$i.set; done
    case $kind in
        state) printf '%s\n' state.key state.value state.proof ;;
        receipt) printf '%s\n' receipt.bin receipt.proof ;;
        transaction) printf '%s\n' receipt.bin receipt.proof envelope.bin envelope.proof keys.header keys.certificate
            i=0; while [ $i -lt $keys ]; do i=$((i + 1)); printf '%s\n' key-$i.value key-$i.proof; done
            i=0; while [ $i -lt $certificates ]; do i=$((i + 1)); echo certificate-$i.der; done ;;
    esac
} | sort > "$W/expected"
ls -A | sort | cmp -s - "$W/expected" || refuse "a file is missing, or there is one too many, for a bundle of kind $kind"
while read -r f; do [ -f "$f" ] && [ ! -h "$f" ] || refuse "$f is no regular file"; done < "$W/expected"

# ---- 2. to 4. the genesis document, its validators, and those of each epoch by the last header of the one before
sm3 < genesis.bin > "$W/genesis"; genesis=$(hex "$W/genesis") anchored=no
anchor=$(printf %s "$anchor" | tr A-F a-f); [ "$anchor" != "$genesis" ] || anchored="SM3 of the genesis document 创世文件"
parts genesis.bin > "$W/parts" || refuse "genesis.bin is no value"
members() { # EPOCH FILE OFFSET SIZE START: the validators who certify from height START on; consensus keys, names, hash
    slice "$2" "$3" "$4" > "$W/set.$1"; parts "$W/set.$1" > "$W/set.parts" || refuse "$2 is no value"
    awk -F'\t' '$3 ~ /^\.[0-9]+\.consensus_key$/ && $2 == 64 { print $1 }' "$W/set.parts" > "$W/set.$1.keys"
    awk -F'\t' '$3 ~ /^\.[0-9]+\.name$/ { print $4 }' "$W/set.parts" > "$W/set.$1.names"
    { tag dualchain/validators/v1; cat "$W/set.$1"; } | sm3 | hex > "$W/set.$1.hash"; echo "$5" > "$W/set.$1.start"
    [ "$anchor" != "$(cat "$W/set.$1.hash")" ] || anchored="validators of epoch $1 第 $1 纪元验证者集合"
}
certified() { # NAME: NAME.header is final by NAME.certificate (§6); E its epoch, HEIGHT, SIGNERS
    take "$1.header" 0 40; exact "$1.header" 408
    [ "$H" = "00010001${genesis}00000000" ] || refuse "$1.header is of another version, chain or ledger"
    number "$1.header" 40 8; E=$N; number "$1.header" 48 8; HEIGHT=$N
    [ -e "$W/set.$E" ] || refuse "$1.header is of epoch $E, into which the bundle does not lead"
    [ "$HEIGHT" -gt 0 ] && [ "$HEIGHT" -ge "$(cat "$W/set.$E.start")" ] || refuse "$1.header is of a height before its epoch"
    if [ -e "$W/set.$((E + 1)).start" ]; then
        [ "$HEIGHT" -lt "$(cat "$W/set.$((E + 1)).start")" ] || refuse "$1.header is of a height after its epoch"
    fi
    take "$1.header" 312 32; [ "$H" = "$(cat "$W/set.$E.hash")" ] || refuse "$1.header names other validators"
    n=$(($(wc -l < "$W/set.$E.keys"))); q=$(((n + (n - 1) / 3 + 2) / 2)); [ "$n" -ge 4 ] || refuse "$1: $n validators"
    sm3 < "$1.header" > "$W/hash"; take "$1.certificate" 0 33; [ "$H" = "01$(hex "$W/hash")" ] || refuse "$1.certificate is another header's"
    number "$1.certificate" 33 2; [ "$N" -eq "$q" ] || refuse "$1.certificate has $N signatures, the quorum is $q of $n"
    exact "$1.certificate" $((35 + 66 * q)); SIGNERS='' before=-1 j=0
    while [ $j -lt "$q" ]; do
        number "$1.certificate" $((35 + 66 * j)) 2; [ "$N" -gt "$before" ] || refuse "$1.certificate: signers not ascending"
        [ "$N" -lt "$n" ] || refuse "$1.certificate: signer $N is no validator"
        before=$N; SIGNERS="$SIGNERS${SIGNERS:+, }$(sed -n "$((N + 1))p" "$W/set.$E.names")"
        signed dualchain/header/v1 "$W/hash" "$W/set.$E" "$(sed -n "$((before + 1))p" "$W/set.$E.keys")" "$1.certificate" $((37 + 66 * j))
        j=$((j + 1))
    done
}
line=$(awk -F'\t' '$3 == ".validators" { print $1, $2 }' "$W/parts"); [ -n "$line" ] || refuse "genesis.bin names no validators"
members 0 genesis.bin "${line% *}" "${line#* }" 0
i=0
while [ $i -lt $epochs ]; do
    i=$((i + 1)); certified "epoch-$i"; [ "$E" -eq $((i - 1)) ] || refuse "epoch-$i.header is not of epoch $((i - 1))"
    members $i "epoch-$i.set" 0 "$(($(wc -c < "epoch-$i.set")))" $((HEIGHT + 1)); take "epoch-$i.header" 344 32
    [ "$H" = "$(cat "$W/set.$i.hash")" ] || refuse "epoch-$i.set is not the set that epoch-$i.header names"
    [ "$H" != "$(cat "$W/set.$((i - 1)).hash")" ] || refuse "epoch-$i.header ends no epoch"
done
[ "$anchored" != no ] || refuse "the anchor is neither SM3 of genesis.bin ($genesis) nor the hash of an epoch's validators"
fact ⑦ "anchor 锚" "$anchor: $anchored"
fact ⑦ "chain 链" "$(awk -F'\t' '$3 == ".chain_id" { print $4 }' "$W/parts"), SM3 $genesis"
fact ⑥ "epochs followed 逐纪元" "$epochs"

# ---- 5. the header over the fact
certified block; number block.header 60 8; moment "$N"; block_s=$((N / 1000))
fact ⑤ "validators 验证者" "epoch $E, $(cat "$W/set.$E.hash")"
fact ④ "quorum 法定数签名" "$q / $n: $SIGNERS"
fact ③ "block 区块" "height 高度 $HEIGHT, $T, SM3 $(sm3 < block.header | hex)"

# ---- 6. to 9. the fact itself
if [ $kind = state ]; then
    in_state state.key state.value state.proof block.header
    fact ② "path 路径" "bucket 桶 $bucket / $buckets, entry 条目 $position / $entries"
    size=$(($(wc -c < state.value))) ids=$(hex -j 8 state.key 2> /dev/null || :)
    fact ① "state key 状态键" "$(hex state.key)"
    case $(hex state.key | cut -c 1-16),$size,${#ids} in # the kernel's packed records: contract name, kind, ids
        066b65726e656c48,28,64) # a holding: u64 available, pledged, frozen
            fact ① "security 证券" "$(printf %s "$ids" | cut -c 1-32)"; fact ① "holder 持有人" "$(printf %s "$ids" | cut -c 33-64)"
            number state.value 0 8; a=$N; number state.value 8 8; b=$N; number state.value 16 8
            fact ① "holding 持有数量" "$((a + b + N)) = available 可用 $a + pledged 质押 $b + frozen 冻结 $N" ;;
        066b65726e656c53,*,32) # a security: at 60 the u64 of units registered
            fact ① "security 证券" "$ids"; number state.value 60 8; fact ① "units registered 登记总量" "$N" ;;
        066b65726e656c*) ;; # other records of the kernel are packed too: their bytes are shown
        *) if parts state.value > "$W/parts" 2> /dev/null; then
               while IFS=$(printf '\t') read -r x y p v; do fact ① "value 值 $p" "$v"; done < "$W/parts"; fi ;;
    esac
    if [ $size -le 1024 ]; then fact ① "value 值" "$(hex state.value)"; else fact ① "value 值" "$size bytes, SM3 $v"; fi
else
    under receipt.bin receipt.proof block.header 176 208; index=$INDEX
    fact ② "path 路径" "receipt 回执 $index / $count"
    take receipt.bin 0 1; [ "$H" = 01 ] || refuse "receipt.bin: unknown version"
    take receipt.bin 37 32; transaction=$H; take receipt.bin 5 32; envelope=$H
    fact ① "transaction 交易" "$transaction"; fact ① "envelope 信封" "$envelope"
    take receipt.bin 69 16; fact ① "account 账户" "$H"; take receipt.bin 85 8; fact ① "nonce" "0x$H"
    number receipt.bin 93 2; code=$N; number receipt.bin 95 1
    fact ① "result 结果" "code $code, $([ "$code" -eq 0 ] && echo "executed 已执行" || echo "refused 已拒绝: $(text receipt.bin 96 "$N")")"
fi
if [ $kind = transaction ]; then
    case $code in 5 | 6 | 7 | 15) refuse "code $code says nothing about the signer" ;; esac
    number envelope.bin 1 4; size=$N; slice envelope.bin 5 "$size" > "$W/body"; exact "$W/body" "$size"
    { tag dualchain/envelope/v1; cat envelope.bin; } | sm3 > "$W/id"; under "$W/id" envelope.proof block.header 140 172
    [ "$INDEX" -eq "$index" ] || refuse "the receipt is not the envelope's: another index"
    [ "$envelope" = "$(hex "$W/id")" ] || refuse "the receipt is of another envelope"
    sm3 < "$W/body" > "$W/txhash"; [ "$transaction" = "$(hex "$W/txhash")" ] || refuse "the receipt is of another transaction"
    take "$W/body" 21 16; [ "$H" = 00000000000000000000000000000000 ] || fact ① "on behalf of 代理" "$H"
    number "$W/body" 53 8; [ "$N" -eq 0 ] || { moment "$N"; fact ① "business time 业务时间" "$T"; }
    number "$W/body" 61 1; id=$N; fact ① "business id 业务编号" "$(text "$W/body" 62 "$id")"
    number "$W/body" $((62 + id)) 1; cosigners=$N o=$((63 + id + 16 * N)); number "$W/body" $o 1; operations=$N i=0 o=$((o + 1))
    while [ $i -lt "$operations" ]; do # each: contract, method (u8 length), arguments (u32 length)
        i=$((i + 1)); number "$W/body" $o 1; name=$(text "$W/body" $((o + 1)) "$N"); o=$((o + 1 + N)); number "$W/body" $o 1
        fact ① "operation 操作 $i" "$name.$(text "$W/body" $((o + 1)) "$N")"; o=$((o + 1 + N)); number "$W/body" $o 4
        slice "$W/body" $((o + 4)) "$N" > "$W/arguments"; o=$((o + 4 + N)); parts "$W/arguments" > "$W/parts" || refuse "arguments are no value"
        while IFS=$(printf '\t') read -r x y p v; do fact ① "$i $p" "$v"; done < "$W/parts"
    done
    certified keys; fact ② "keys proven at 公钥证明于" "height 高度 $HEIGHT, $SIGNERS"
    number envelope.bin $((5 + size)) 1; [ "$N" -eq $((1 + cosigners)) ] && [ "$N" -eq "$keys" ] || refuse "the envelope has $N signers"
    exact envelope.bin $((6 + size + 128 * keys)); i=0
    while [ $i -lt "$keys" ]; do # the account first, then the cosigners in the body's order
        o=$((6 + size + 128 * i)) p=5; [ $i -eq 0 ] || p=$((63 + id + 16 * (i - 1))); i=$((i + 1))
        signed dualchain/tx/v1 "$W/txhash" envelope.bin $o envelope.bin $((o + 64))
        { printf '\010accountsk'; slice envelope.bin $o 64 | sm3; } > "$W/statekey"
        in_state "$W/statekey" key-$i.value key-$i.proof keys.header; exact key-$i.value 43; take "$W/body" $p 16; account=$H
        take key-$i.value 0 42; [ "$H" = "07000000030500000010${account}060000000b7472616e73616374696f6e" ] || refuse "key-$i is no transaction key of account $account"
        take key-$i.value 42 1; revoked=''; [ "$H" = 02 ] || revoked=' (later revoked 后已撤销)'
        take envelope.bin $o 64; fact ① "signed by 签署 $account" "$H$revoked"
    done
fi
if [ $certificates -gt 0 ]; then
    [ "$(sm3 < certificate-$certificates.der | hex)" = "$(printf %s "$root" | tr A-F a-f)" ] || refuse "the root certificate is not the one of --root"
    i=0; while [ $i -lt $certificates ]; do i=$((i + 1)); openssl x509 -inform DER -in certificate-$i.der -out "$W/$i.pem" 2> /dev/null || refuse "certificate-$i.der"; done
    while [ $i -gt 1 ]; do
        # only the next certificate is trusted here: none of the machine's own authorities
        openssl verify -vfyopt distid:1234567812345678 -no-CApath -no-CAstore -partial_chain -attime $block_s \
            -CAfile "$W/$i.pem" "$W/$((i - 1)).pem" > /dev/null 2>&1 ||
            refuse "certificate-$((i - 1)).der is not issued by the next one, or did not hold at block time"
        i=$((i - 1))
    done
    openssl x509 -in "$W/1.pem" -noout -pubkey | openssl pkey -pubin -outform DER > "$W/leaf.der"
    take "$W/leaf.der" 27 64; [ "$H" = "$(slice envelope.bin $((6 + size)) 64 | hex)" ] || refuse "certificate-1.der is of another key"
    openssl x509 -in "$W/1.pem" -noout -subject -nameopt RFC2253,-esc_msb,utf8 | tr -d '\n' > "$W/subject"
    fact ① "certificate 证书" "$(text "$W/subject" 0 $(($(wc -c < "$W/subject"))))"
fi

# ---- 10. the summary: a fixed beginning and end, and between them these facts
sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g; s/"/\&quot;/g' "$W/facts" |
    awk -F'\t' '{ print "<tr><td>" $1 "</td><th>" $2 "</th><td>" $3 "</td></tr>" }' > "$W/rows"
[ $rows = no ] || { cat "$W/rows"; exit 0; }
begins=3702 ends=507 # sizes and SM3 of the fixed parts
size=$(($(wc -c < "$W/rows"))); exact summary.html $((begins + size + ends))
[ "$(slice summary.html 0 $begins | sm3 | hex)" = 7de639d9f4e2abe05fca4084616aec7c913a743a71320ee6315d4e3e84091322 ] && [ "$(slice summary.html $((begins + size)) $ends | sm3 | hex)" = 28ca79124f1dc11db22f08ebfda3adbc074e95c8e0a6a0fba34c4ee29ee6ffdd ] || refuse "summary.html: not the known page"
slice summary.html $begins $size | cmp -s - "$W/rows" || refuse "summary.html says something else than what is proven"
awk -F'\t' '{ print $1 " " $2 ": " $3 }' "$W/facts"
echo "VERIFIED"
