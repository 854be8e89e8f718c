"""Arithmetic, mathematics, bits, hashes and random numbers."""

from __future__ import annotations

__all__ = ["NUMBERS"]

NUMBERS = """
plus minus multiply 2 number
divide 2 float
intDiv intDivOrZero modulo moduloOrZero positiveModulo mod>modulo pmod>positiveModulo 2 number
divideDecimal multiplyDecimal 2-3 any
negate abs sign 1 number
gcd lcm 2 int
max2 min2 2 float
byteSwap 1 int
equals notEquals less greater lessOrEquals greaterOrEquals 2 bool
like ilike notLike notILike 2 bool
in notIn 2 bool!
xor 2+ bool
e pi 0 float!
exp exp2 exp10 log ln>log log2 log10 log1p sqrt cbrt erf erfc lgamma tgamma 1 float
sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh degrees radians sigmoid 1 float
pow power atan2 hypot 2 float
factorial 1 int
width_bucket>widthBucket widthBucket 4 int
intExp2 intExp10 1 int
floor ceil ceiling>ceil trunc>trunc truncate>trunc round roundBankers 1-2 same
roundToExp2 roundAge roundDuration 1 number
roundDown 2 number
isFinite isInfinite isNaN 1 bool
ifNotFinite 2 float
greatest least 1+ common
bitAnd bitOr bitXor bitShiftLeft bitShiftRight bitRotateLeft bitRotateRight bitTest 2 int
bitNot bitCount 1 int
bitTestAny bitTestAll 2+ bool
bitHammingDistance bitPositionsToArray 1-2 any
byteHammingDistance>byteHammingDistance 2 int
L1Norm L2Norm L2SquaredNorm LinfNorm 1 float
LpNorm 2 float
L1Distance L2Distance L2SquaredDistance LinfDistance cosineDistance dotProduct 2 float
LpDistance 3 float
L1Normalize L2Normalize LinfNormalize 1 any
halfMD5 sipHash64 cityHash64 xxHash32 xxHash64 xxh3 murmurHash2_32 murmurHash2_64 1+ int
murmurHash3_32 murmurHash3_64 metroHash64 farmHash64 farmFingerprint64 1+ int
javaHash hiveHash intHash32 intHash64 CRC32 CRC64 1 int
jumpConsistentHash 2 int
MD5 SHA1 SHA224 SHA256 SHA384 SHA512 sipHash128 murmurHash3_128 1 any
md5>MD5 1 any
rand rand32>rand rand64 0-1 int!
randConstant 0-1 int!
randUniform randNormal randLogNormal randBinomial randNegativeBinomial 2-3 any
randPoisson randBernoulli randExponential randChiSquared randStudentT 1-2 any
randFisherF 2-3 any
random>randCanonical randCanonical 0-1 float!
bitmapBuild bitmapToArray bitmapCardinality bitmapMin bitmapMax 1 any
bitmapContains bitmapHasAny bitmapHasAll bitmapAnd bitmapOr bitmapXor bitmapAndnot 2 any
bitmapAndCardinality bitmapOrCardinality bitmapXorCardinality bitmapAndnotCardinality 2 int
bitmapSubsetInRange bitmapSubsetLimit subBitmap 3 any
proportionsZTest 6 any
minSampleSizeContinuous minSampleSizeConversion 4-5 any
"""
