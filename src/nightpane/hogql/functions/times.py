"""Dates, times and intervals. Those that need the project's timezone are printed in ``calls``."""

from __future__ import annotations

__all__ = ["TIMES"]

TIMES = """
now current_timestamp>now now64>now 0-1 datetime!
today current_date>today yesterday 0 date!
toDate to_date>toDate 1 date?
toDateTime parseDateTimeBestEffort>toDateTime 1-2 datetime?
toDateTime64 1-3 datetime?
toDateTimeUS 1-2 datetime?
parseDateTime>parseDateTimeOrNull 1-3 datetime?
parseDateTimeInJodaSyntax>parseDateTimeInJodaSyntaxOrNull 1-3 datetime?
toTimeZone 2 datetime
timezone>toTimeZone 2 datetime
timeZoneOf timezoneOf>timeZoneOf 1 string
timeZoneOffset timezoneOffset>timeZoneOffset 1 int
toYear toQuarter toMonth toDayOfYear toDayOfMonth toHour toMinute toSecond toMillisecond 1 int
YEAR>toYear QUARTER>toQuarter MONTH>toMonth DAY>toDayOfMonth HOUR>toHour MINUTE>toMinute 1 int
year>toYear quarter>toQuarter month>toMonth day>toDayOfMonth hour>toHour minute>toMinute 1 int
second>toSecond 1 int
toDayOfWeek 1-3 int
toUnixTimestamp 1-2 int
toUnixTimestamp64Milli toUnixTimestamp64Micro toUnixTimestamp64Nano 1 int
fromUnixTimestamp 1 datetime
fromUnixTimestamp64Milli fromUnixTimestamp64Micro fromUnixTimestamp64Nano 1-2 datetime
to_timestamp>fromUnixTimestamp 1 datetime
toStartOfInterval 2-4 datetime
date_bin>toStartOfInterval 2 datetime
toStartOfYear toStartOfISOYear toStartOfQuarter toStartOfMonth toLastDayOfMonth toMonday 1 date
toStartOfWeek toLastDayOfWeek 1-2 date
toStartOfDay toStartOfHour toStartOfMinute toStartOfSecond 1 datetime
toStartOfMillisecond toStartOfMicrosecond 1 datetime
toStartOfFiveMinutes toStartOfFiveMinute>toStartOfFiveMinutes 1 datetime
toStartOfTenMinutes toStartOfFifteenMinutes timeSlot 1 datetime
toTime>toTimeWithFixedDate 1 datetime
toRelativeYearNum toRelativeQuarterNum toRelativeMonthNum toRelativeWeekNum toRelativeDayNum 1 int
toRelativeHourNum toRelativeMinuteNum toRelativeSecondNum 1 int
toISOYear toISOWeek toDaysSinceYearZero 1 int
fromDaysSinceYearZero 1 date
toWeek toYearWeek 1-3 int
toYYYYMM toYYYYMMDD toYYYYMMDDhhmmss 1-2 int
YYYYMMDDToDate 1 date
YYYYMMDDhhmmssToDateTime 1-2 datetime
age dateDiff date_diff>dateDiff datediff>dateDiff timestampDiff>dateDiff 3-4 int
dateTrunc date_trunc>dateTrunc 2-3 datetime
dateAdd dateSub date_add>dateAdd date_sub>dateSub date_subtract>dateSub 2-3 datetime
timestampAdd>timestampAdd timeStampAdd>timestampAdd 2-3 datetime
timestampSub>timestampSub timeStampSub>timestampSub 2-3 datetime
addDate subDate 2 datetime
addYears addQuarters addMonths addWeeks addDays 2 arg1
addHours addMinutes addSeconds addMilliseconds addMicroseconds 2 datetime
subtractYears subtractQuarters subtractMonths subtractWeeks subtractDays 2 arg1
subtractHours subtractMinutes subtractSeconds subtractMilliseconds 2 datetime
addInterval subtractInterval addTupleOfIntervals subtractTupleOfIntervals 2 any
timeSlots 2-3 array!
formatDateTime formatDateTimeInJodaSyntax to_char>formatDateTime 2-3 string
dateName 2-3 string
monthName 1 string
date_part 2 int
makeDate make_date>makeDate 2-3 date
makeDateTime make_timestamp>makeDateTime 6-7 datetime
makeDateTime64 6-9 datetime
UUIDv7ToDateTime 1-2 datetime
toModifiedJulianDay>toModifiedJulianDayOrNull 1 int?
fromModifiedJulianDay>fromModifiedJulianDayOrNull 1 string?
toUTCTimestamp fromUTCTimestamp 2 datetime
changeYear changeMonth changeDay changeHour changeMinute changeSecond 2 datetime
toIntervalSecond toIntervalMinute toIntervalHour toIntervalDay toIntervalWeek 1 interval
toIntervalMonth toIntervalQuarter toIntervalYear 1 interval
toIntervalMillisecond toIntervalMicrosecond 1 interval
"""
