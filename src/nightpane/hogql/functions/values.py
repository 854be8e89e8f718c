"""Conditions, NULLs, conversions, and what is left."""

from __future__ import annotations

__all__ = ["VALUES"]

VALUES = """
if 3 branches
multiIf 3+ branches
and or 2+ bool
not 1 bool
isNull isNotNull isZeroOrNull isNullable>isNullable 1 bool!
coalesce 1+ coalesce
ifNull nvl>ifNull 2 coalesce
nullIf nullif>nullIf 2 same?
assumeNotNull 1 same!
toNullable 1 same?
isnull>isNull 1 bool!
isnotnull>isNotNull 1 bool!
toInt toInteger>toInt 1 int?
toFloat 1 float?
toIntOrZero>toInt64OrZero 1 int
toIntOrDefault>toInt64OrDefault 1-2 int
toFloatOrZero>toFloat64OrZero 1 float
toFloatOrDefault>toFloat64OrDefault 1-2 float
toDecimal 2 any
toUUID 1 uuid?
toUUIDOrDefault 2 uuid
toUUIDOrNull 1 uuid?
toUUIDOrZero 1 uuid
toString 1-2 string
toNullableString>toString 1 string?
toBool toBoolean>toBool 1 bool?
toFixedString 2 string
toStringCutToZero 1 string
toLowCardinality materialize identity 1 same
toTypeName toColumnTypeName 1 string!
defaultValueOfArgumentType 1 any
reinterpretAsUInt8 reinterpretAsUInt16 reinterpretAsUInt32 reinterpretAsUInt64 1 int
reinterpretAsInt8 reinterpretAsInt16 reinterpretAsInt32 reinterpretAsInt64 1 int
reinterpretAsUInt128 reinterpretAsInt128 reinterpretAsUInt256 reinterpretAsInt256 1 int
reinterpretAsFloat32 reinterpretAsFloat64 1 float
reinterpretAsString 1 string
reinterpretAsUUID 1 uuid
reinterpretAsDate 1 date
reinterpretAsDateTime 1 datetime
accurateCastOrNull accurateCast>accurateCastOrNull 2 any
generateUUIDv4 generateUUIDv7 0-1 uuid!
UUIDStringToNum UUIDNumToString 1-2 any
UUIDToNum 1-2 any
transform 3-4 any
rowNumberInBlock rowNumberInAllBlocks 0 int!
bar 3-4 string
sortableSemVer 1 array!
rowNumber>rowNumberInAllBlocks 0 int!
"""
