"""Arrays, tuples and maps, with the functions that take a lambda."""

from __future__ import annotations

__all__ = ["ARRAYS"]

ARRAYS = """
array 0+ array!
range 1-3 array!
arrayConcat arrayIntersect arrayUnion arraySymmetricDifference 1+ array!
arrayElement 2 items
arrayElementOrNull 2 items?
has 2 bool!
hasAll hasAny hasSubstr 2 bool!
indexOf indexOfAssumeSorted countEqual 2 int!
arrayEnumerate arrayEnumerateUniq arrayEnumerateDense 1+ array!
arrayEnumerateUniqRanked arrayEnumerateDenseRanked 1+ array!
arrayPopBack arrayPopFront arrayDistinct arrayReverse arrayFlatten 1 array!
arrayDifference arrayCompact 1-2 array!
flatten>arrayFlatten 1 array!
arrayPushBack arrayPushFront arrayRemove>arrayRemove 2 array!
arrayResize 2-3 array!
arraySlice 2-3 array!
arraySort arrayReverseSort arraySplit arrayReverseSplit 1+ array!
arrayPartialSort arrayPartialReverseSort 2+ array!
arrayShiftLeft arrayShiftRight 2-3 array!
arrayRotateLeft arrayRotateRight 2 array!
arrayShuffle 1-2 array!
arrayPartialShuffle arrayRandomSample 2-3 array!
arrayShingles 2 array!
arrayUniq 1+ int!
arrayJoin 1 items?
arrayWithConstant 2 array!
arrayZip arrayZipUnaligned 1+ array!
arrayCumSum arrayCumSumNonNegative 1-3 array!
arrayAUC arrayROCAUC>arrayROCAUC 2-4 float!
arrayPRAUC>arrayPRAUC 2-4 float!
arrayMap arrayFilter arrayFill arrayReverseFill 2+ array!
arrayCount 1+ int!
arrayExists arrayAll 1+ bool!
arrayFirst arrayLast arrayFirstOrNull arrayLastOrNull 2+ any
arrayFirstIndex arrayLastIndex 2+ int!
arrayMin arrayMax arraySum arrayAvg arrayProduct 1+ any
arrayFold 3+ any
arrayJaccardIndex 2 float!
arrayLevenshteinDistance 2 float!
arrayNormalizedGini 2 any
arrayAutocorrelation 1-2 array!
emptyArrayString emptyArrayInt64 emptyArrayFloat64 emptyArrayDateTime emptyArrayUInt8 0 array!
emptyArrayToSingle 1 array!
reverse 1 same
mapFromArrays mapFromString 2 map!
map 0+ map!
mapAdd mapSubtract mapConcat mapUpdate 1+ map!
mapContains>mapContainsKey mapContainsKey mapContainsValue 2 bool!
mapContainsKeyLike mapContainsValueLike 2 bool!
mapExtractKeyLike mapExtractValueLike 2 map!
mapKeys mapValues 1 array!
mapPopulateSeries 1-3 any
mapApply mapFilter 2 map!
mapExists mapAll 2 bool!
mapSort mapReverseSort 1-2 map!
mapPartialSort mapPartialReverseSort 2-3 map!
tuple 0+ tuple!
tupleElement 2-3 any
tupleConcat 1+ tuple!
tuplePlus tupleMinus tupleMultiply tupleDivide tupleHammingDistance 2 any
tupleMultiplyByNumber tupleDivideByNumber 2 any
tupleNegate tupleToNameValuePairs tupleNames flattenTuple 1 any
simhash>ngramSimHash 1-2 int
seriesDecomposeSTL 2 any
seriesOutliersDetectTukey 1-4 any
timeSeriesFromGrid 4 array!
timeSeriesRange 3 array!
pointInPolygon pointInEllipses 2+ bool
greatCircleDistance geoDistance greatCircleAngle 4 float
geohashEncode 2-3 string
geohashDecode 1 any
geohashesInBox 5 array!
"""
