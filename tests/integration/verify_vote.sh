#!/bin/sh
# Verifies one validator's vote over a block header with openssl and a POSIX shell alone (docs/spec/formats.md §14).
#
#   verify_vote.sh KEY HEADER SIGNATURE
#
# all three in hexadecimal: KEY is the validator's consensus key x || y (64 bytes), HEADER the 408 bytes of the block
# header, SIGNATURE the vote r || s (64 bytes). Exit codes: 0 the vote holds, 1 it does not, 2 wrong usage.
set -eu

LC_ALL=C
export LC_ALL

wrong() {
    echo "verify_vote: $1" >&2
    exit 2
}

[ $# -eq 3 ] || wrong "usage: verify_vote.sh KEY HEADER SIGNATURE, all in hexadecimal"

# hexadecimal -> bytes on standard output, two digits at a time
bytes() {
    digits=$1
    while [ -n "$digits" ]; do
        rest=${digits#??}
        pair=${digits%"$rest"}
        # shellcheck disable=SC2059 # the format is the octal escape itself
        printf "\\$(printf '%03o' "0x$pair")"
        digits=$rest
    done
}

# NAME HEX SIZE: digits only, and exactly so many bytes
check() {
    case $2 in
        *[!0-9a-fA-F]*) wrong "$1 is not hexadecimal" ;;
    esac
    [ ${#2} -eq $(($3 * 2)) ] || wrong "$1 has ${#2} digits, not $(($3 * 2))"
}

hex() { od -An -v -tx1 "$@" | tr -d ' \n'; }

check KEY "$1" 64
check HEADER "$2" 408
check SIGNATURE "$3" 64

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
bytes "$1" > "$work/key.bin"
bytes "$2" > "$work/header.bin"
bytes "$3" > "$work/signature.bin"
cd "$work"

# What was signed: M = tag padded to 32 bytes || genesis hash (bytes 4 to 36 of the header) || SM3(header)
{
    printf 'dualchain/header/v1'
    dd if=/dev/zero bs=1 count=13 2>/dev/null
    dd if=header.bin bs=1 skip=4 count=32 2>/dev/null
    openssl dgst -sm3 -binary header.bin
} > message.bin

# r || s as DER
printf 'asn1=SEQUENCE:s\n[s]\nr=INTEGER:0x%s\ns=INTEGER:0x%s\n' \
    "$(hex -N 32 signature.bin)" "$(hex -j 32 signature.bin)" > signature.cnf
openssl asn1parse -genconf signature.cnf -noout -out signature.der

# x || y as a public key on the curve SM2 (1.2.156.10197.1.301)
{
    printf 'asn1=SEQUENCE:k\n[k]\na=SEQUENCE:a\nb=FORMAT:HEX,BITSTRING:04%s\n' "$(hex key.bin)"
    printf '[a]\nc=OID:1.2.840.10045.2.1\nd=OID:1.2.156.10197.1.301\n'
} > key.cnf
openssl asn1parse -genconf key.cnf -noout -out key.der

if openssl pkeyutl -verify -pubin -keyform DER -inkey key.der -rawin -digest sm3 \
    -pkeyopt distid:1234567812345678 -in message.bin -sigfile signature.der; then
    exit 0
fi
exit 1
