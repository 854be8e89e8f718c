"""Texts: searching, replacing, splitting, JSON, URLs, encodings."""

from __future__ import annotations

__all__ = ["STRINGS"]

STRINGS = """
empty notEmpty 1 bool
length char_length>lengthUTF8 character_length>lengthUTF8 lengthUTF8 octet_length>length 1 int
leftPad rightPad leftPadUTF8 rightPadUTF8 lpad>leftPad rpad>rightPad 2-3 string
left leftUTF8 right rightUTF8 2 string
lower upper lowerUTF8 upperUTF8 lcase>lower ucase>upper initcap initcapUTF8 1 string
isValidUTF8 isValidASCII>isValidASCII 1 bool
toValidUTF8 1 string
repeat 2 string
space 1 string
reverse 1 same
reverseUTF8 1 string
format 2+ string
concat 1+ string
concatWithSeparator concat_ws>concatWithSeparator 2+ string
substring substr>substring mid>substring substringUTF8 2-3 string
substringIndex substringIndexUTF8 3 string
appendTrailingCharIfAbsent 2 string
convertCharset 3 string
base64Encode tryBase64Decode base64Decode>tryBase64Decode 1 string
base58Encode tryBase58Decode base58Decode>tryBase58Decode 1 string
base64URLEncode tryBase64URLDecode base64URLDecode>tryBase64URLDecode 1 string
endsWith startsWith endsWithUTF8 startsWithUTF8 2 bool
trim trimBoth>trim trimLeft trimRight ltrim>trimLeft rtrim>trimRight 1-2 string
CRC32IEEE 1 int
normalizeQuery normalizeUTF8NFC normalizeUTF8NFD normalizeUTF8NFKC normalizeUTF8NFKD 1 string
normalizedQueryHash 1 int
encodeXMLComponent decodeXMLComponent decodeHTMLComponent extractTextFromHTML 1 string
ascii 1 int
soundex 1 string
byteHammingDistance editDistance editDistanceUTF8 damerauLevenshteinDistance 2 int
levenshteinDistance>editDistance 2 int
jaroSimilarity jaroWinklerSimilarity stringJaccardIndex stringJaccardIndexUTF8 2 float
ngramDistance ngramDistanceUTF8 ngramDistanceCaseInsensitive 2 float
ngramSearch ngramSearchUTF8 ngramSearchCaseInsensitive 2 float
overlay overlayUTF8 3-4 string
replace>replaceAll replaceAll replaceOne replaceRegexpAll replaceRegexpOne 3 string
regexp_replace>replaceRegexpAll 3 string
regexpQuoteMeta 1 string
translate translateUTF8 3 string
printf 1+ string
sparseGrams 1-4 array!
char 1+ string
ord>ascii 1 int
hex bin 1 string
unhex unbin 1 string
position locate>position strpos>position positionCaseInsensitive 2-3 int
positionUTF8 positionCaseInsensitiveUTF8 2-3 int
multiSearchAllPositions multiSearchAllPositionsUTF8 2 array!
multiSearchAllPositionsCaseInsensitive multiSearchAllPositionsCaseInsensitiveUTF8 2 array!
multiSearchFirstPosition multiSearchFirstPositionCaseInsensitive 2 int
multiSearchFirstIndex multiSearchFirstIndexCaseInsensitive 2 int
multiSearchAny multiSearchAnyUTF8 multiSearchAnyCaseInsensitive 2 bool
multiSearchAnyCaseInsensitiveUTF8 2 bool
match 2 bool
multiMatchAny 2 bool
multiMatchAnyIndex 2 int
multiMatchAllIndices 2 array!
multiFuzzyMatchAny 3 bool
multiFuzzyMatchAnyIndex 3 int
hasToken hasTokenOrNull hasTokenCaseInsensitive 2 bool
hasSubsequence hasSubsequenceUTF8 hasSubsequenceCaseInsensitive 2 bool
extract 2 string
regexpExtract>regexpExtract regexp_extract>regexpExtract 2-3 string
extractAll extractAllGroups extractAllGroupsHorizontal extractAllGroupsVertical 2 array!
extractGroups 2 array!
countSubstrings countSubstringsCaseInsensitive countSubstringsCaseInsensitiveUTF8 2-3 int
countMatches countMatchesCaseInsensitive 2 int
splitByChar splitByString splitByRegexp 2-3 array!
splitByWhitespace splitByNonAlpha 1-2 array!
arrayStringConcat 1-2 string
alphaTokens>splitByAlpha splitByAlpha 1-2 array!
tokens 1+ array!
ngrams 2 array!
JSONHas isValidJSON 1+ bool
JSONLength 1+ int
JSONType 1+ string
JSONArrayLength 1 int?
JSONExtractUInt JSONExtractInt 1+ int
JSONExtractFloat 1+ float
JSONExtractBool 1+ bool
JSONExtractString JSONExtractRaw 1+ string
JSONExtractArrayRaw JSONExtractKeysAndValuesRaw JSONExtractKeys 1+ array!
JSONExtract JSONExtractKeysAndValues 2+ any
JSON_VALUE 2 string
JSON_QUERY 2 string
JSON_EXISTS 2 bool
JSONMergePatch 1+ string
simpleJSONHas visitParamHas>simpleJSONHas 2 bool
simpleJSONExtractUInt simpleJSONExtractInt 2 int
simpleJSONExtractFloat 2 float
simpleJSONExtractBool 2 bool
simpleJSONExtractRaw simpleJSONExtractString 2 string
toJSONString 1 string!
protocol domain domainWithoutWWW topLevelDomain firstSignificantSubdomain 1 string
cutToFirstSignificantSubdomain cutToFirstSignificantSubdomainWithWWW path pathFull 1 string
queryString fragment queryStringAndFragment cutWWW cutQueryString cutFragment netloc 1 string
cutQueryStringAndFragment decodeURLComponent encodeURLComponent 1 string
decodeURLFormComponent encodeURLFormComponent 1 string
port 1-2 int
extractURLParameter 2 string
extractURLParameters extractURLParameterNames URLHierarchy URLPathHierarchy 1 array!
cutURLParameter 2 string
IPv4NumToString IPv4NumToStringClassC IPv6NumToString 1 string
IPv4StringToNum IPv4StringToNumOrNull IPv4StringToNumOrDefault 1 int
IPv6StringToNum IPv6StringToNumOrNull IPv6StringToNumOrDefault 1 any
IPv4ToIPv6 cutIPv6>cutIPv6 1-3 any
isIPv4String isIPv6String 1 bool
isIPAddressInRange 2 bool
IPv4CIDRToRange IPv6CIDRToRange 2 any
toIPv4>toIPv4OrNull toIPv6>toIPv6OrNull 1 any
formatReadableSize formatReadableDecimalSize formatReadableQuantity 1 string
formatReadableTimeDelta 1-3 string
parseReadableSize>parseReadableSizeOrNull 1 int?
parseTimeDelta 1 float
"""
