"""Does Onebox's way of writing a trigger mean what APScheduler's does?

The real one says when it is due; what Onebox is told is read here by the rules of cron(5)."""
import datetime as dt
import random
import unittest
from zoneinfo import ZoneInfo

from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger as RealCron
from apscheduler.triggers.date import DateTrigger as RealDate
from apscheduler.triggers.interval import IntervalTrigger as RealInterval

from onebox.apscheduler import triggers
from onebox.apscheduler.triggers import CronTrigger, IntervalTrigger, make, schedule_of

UTC = dt.timezone.utc
LEAST = {"month": 1, "day": 1, "day_of_week": 0, "hour": 0, "minute": 0}
MOST = {"month": 12, "day": 31, "day_of_week": 6, "hour": 23, "minute": 59}
WORDS = {"day_of_week": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
         "month": ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]}


def written(trigger, **fields):
    schedule = schedule_of(make(trigger, fields, "UTC"), "UTC")
    return schedule.kind, schedule.text


def numbers(text, least, most):
    """A field of cron(5)."""
    found = set()
    for part in text.split(","):
        body, _, step = part.partition("/")
        first, last = (least, most) if body == "*" else (int(body), int(body))
        found |= set(range(first, last + 1, int(step or 1)))
    return found


def is_due(text, moment):
    minute, hour, day, month, weekday = text.split()
    right = [moment.day in numbers(day, 1, 31), moment.isoweekday() % 7 in numbers(weekday, 0, 6)]
    either = not day.startswith("*") and not weekday.startswith("*")
    return (moment.minute in numbers(minute, 0, 59) and moment.hour in numbers(hour, 0, 23)
            and moment.month in numbers(month, 1, 12) and (any(right) if either else all(right)))


def next_due(text, after):
    """Skips days and hours in which nothing is due; None in the year to come."""
    minute, hour, *_ = text.split()
    hours, minutes = numbers(hour, 0, 23), numbers(minute, 0, 59)
    day = after.replace(hour=0, minute=0)
    for _ in range(366):
        some = day.replace(hour=min(hours), minute=min(minutes))
        if is_due(text, some):
            for h in sorted(hours):
                for m in sorted(minutes):
                    if (moment := day.replace(hour=h, minute=m)) > after:
                        return moment
        day += dt.timedelta(days=1)
    return None


def some_expression(draw, name):
    least, most = LEAST[name], MOST[name]
    low = draw.randint(least, most)
    high = draw.randint(low, most)
    forms = ["*", f"*/{draw.randint(1, most - least)}", f"{low}", f"{low}-{high}", f"{low},{high}"]
    if high - low > 1:
        forms.append(f"{low}-{high}/{draw.randint(1, high - low)}")
    if name in WORDS:
        words = WORDS[name]
        forms += [words[low - least], f"{words[low - least]}-{words[high - least].upper()}"]
    return draw.choice(forms)


class Cron(unittest.TestCase):
    def test_random_fields_are_due_when_apscheduler_says(self):
        draw = random.Random(7)
        compared = refused = 0
        for _ in range(400):
            names = draw.sample(sorted(LEAST), draw.randint(1, 4))
            fields = {name: some_expression(draw, name) for name in names}
            real = RealCron(timezone=UTC, **fields)
            try:
                ours = written("cron", **fields)
                self.assertEqual(ours, schedule_of(real, None)[:2], fields)
            except ValueError as error:
                self.assertIn("both have to be right", str(error))
                self.assertTrue({"day", "day_of_week"} <= set(fields))
                refused += 1
                continue
            self.assertEqual(ours[0], "cron", fields)
            at = dt.datetime(2026, draw.randint(1, 12), draw.randint(1, 28), draw.randint(0, 23),
                             draw.randint(0, 59), tzinfo=UTC)
            for _ in range(5):
                theirs = real.get_next_fire_time(None, at + dt.timedelta(minutes=1))
                if theirs is None or theirs - at > dt.timedelta(days=365):
                    break
                self.assertEqual(next_due(ours[1], at), theirs, (fields, ours, at))
                compared += 1
                at = theirs
        self.assertGreater(compared, 1000)
        self.assertGreater(refused, 5)

    def test_fields(self):
        for fields, text in (
                ({"hour": 3}, "0 3 * * *"),
                ({"minute": "*/5"}, "*/5 * * * *"),
                ({"day": 1}, "0 0 1 * *"),
                ({"day_of_week": 0}, "0 0 * * 1"),
                ({"day_of_week": "sun", "hour": 4, "minute": 30}, "30 4 * * 0"),
                ({"day_of_week": "mon-fri", "hour": "9,17"}, "0 9,17 * * 1,2,3,4,5"),
                ({"month": "jan-MAR", "day": "*"}, "0 0 * 1,2,3 *"),
                ({"day": "*/2", "day_of_week": "mon"}, "0 0 */2 * 1"),
                ({"hour": 3, "year": "*", "week": "*", "second": 0}, "* 3 * * *"),
                ({"hour": "0-23", "minute": "50/5"}, "50,55 * * * *")):
            self.assertEqual(written("cron", **fields), ("cron", text), fields)

    def test_seconds(self):
        for fields, expected in (
                ({"second": "*/10"}, ("every", "10 seconds")),
                ({}, ("every", "1 seconds")),
                ({"second": 30}, ("every", "60 seconds")),
                ({"minute": "*", "second": "0,15,30,45"}, ("every", "15 seconds")),
                ({"hour": "9,17", "minute": 0, "second": 30}, ("at", "09:00:30, 17:00:30")),
                ({"day_of_week": "mon,fri", "hour": 9, "minute": 5, "second": "1,2"},
                 ("at", "mon,fri 09:05:01, 09:05:02"))):
            if fields == {"second": 30}:  # each minute, but beside its begin: no interval says that
                self.assertRaisesRegex(ValueError, "1440 times a day", written, "cron", **fields)
            else:
                self.assertEqual(written("cron", **fields), expected, fields)

    def test_what_cannot_be_said_is_refused(self):
        for fields, why in (
                ({"day": "last"}, "day='last' cannot be said"),
                ({"day": "1st mon"}, "day='1st mon' cannot be said"),
                ({"day": "last fri"}, "cannot be said"),
                ({"year": 2027}, "no field year"),
                ({"week": "1-10"}, "no field week"),
                ({"day": "1-7", "day_of_week": "mon"}, "both have to be right"),
                ({"day": 1, "second": 5}, "together with a day"),
                ({"second": "*/7"}, "times a day"),
                ({"hour": 24}, "not within 0 to 23"),
                ({"day_of_week": 7}, "not within 0 to 6"),
                ({"day_of_week": "monday"}, "none of mon"),
                ({"hour": "x"}, "Unrecognized expression 'x'"),
                ({"hour": "9", "end_date": "2030-01-01"}, "no end_date"),
                ({"hour": "9", "start_date": "2099-01-01"}, "no start_date that is yet to come")):
            with self.assertRaisesRegex(ValueError, why, msg=fields):
                written("cron", **fields)
        self.assertEqual(written("cron", hour=9, start_date="2020-01-01")[1], "0 9 * * *")
        self.assertRaises(TypeError, written, "cron", hours=3)
        self.assertRaises(LookupError, written, "yearly")
        self.assertRaisesRegex(ValueError, "one job for each", make, OrTrigger([]), {}, None)

    def test_a_crontab_has_apscheduler_s_weekdays(self):
        self.assertEqual(schedule_of(CronTrigger.from_crontab("0 9 * * 0"), None)[:2],
                         schedule_of(RealCron.from_crontab("0 9 * * 0"), None)[:2])
        self.assertEqual(schedule_of(CronTrigger.from_crontab("0 9 * * 0"), None).text, "0 9 * * 1")
        self.assertEqual(str(CronTrigger(hour=3, day="*")), str(RealCron(hour=3, day="*")))


class Interval(unittest.TestCase):
    def test_lengths(self):
        for fields, text in (({"minutes": 5}, "300 seconds"), ({"hours": 1, "seconds": 1}, "3601 seconds"),
                             ({"weeks": 1, "days": 1}, "691200 seconds"), ({}, "1 seconds")):
            self.assertEqual(written("interval", **fields), ("every", text))
            real = schedule_of(RealInterval(timezone=UTC, **fields), None)
            self.assertEqual((real.kind, real.text, real.zone), ("every", text, "UTC"))
            self.assertEqual(str(IntervalTrigger(**fields)), str(RealInterval(**fields)))

    def test_a_start_says_beside_which_times_it_is_due(self):
        for fields, expected in (
                ({"hours": 6, "start_date": "2020-01-01 12:00:00"}, ("every", "21600 seconds")),
                ({"hours": 8, "start_date": "2020-01-01 01:30:00"}, ("at", "01:30:00, 09:30:00, 17:30:00")),
                ({"days": 1, "start_date": "2020-01-01 03:00:00"}, ("at", "03:00:00")),
                ({"weeks": 1, "start_date": "2020-01-01 03:00:00"}, ("at", "wed 03:00:00"))):
            self.assertEqual(written("interval", **fields), expected)
            start = dt.datetime.fromisoformat(fields.pop("start_date")).replace(tzinfo=UTC)
            self.assertEqual(schedule_of(RealInterval(start_date=start, **fields), None)[:2], expected)

    def test_what_cannot_be_said_is_refused(self):
        for fields, why in (
                ({"seconds": 0.5}, "whole seconds"),
                ({"minutes": 7, "start_date": "2020-01-01 00:01:00"}, "does not divide a day"),
                ({"minutes": 1, "start_date": "2020-01-01 00:00:10"}, "1440 times a day"),
                ({"minutes": 1, "start_date": "2099-01-01"}, "begins with the next"),
                ({"minutes": 1, "end_date": "2099-01-01"}, "no end_date")):
            with self.assertRaisesRegex(ValueError, why, msg=fields):
                written("interval", **fields)

    def test_jitter(self):
        self.assertEqual(schedule_of(make("interval", {"minutes": 5, "jitter": 30}, None), None).jitter, 30)
        self.assertEqual(schedule_of(RealCron(hour=3, jitter=9), None).jitter, 9)


class Places(unittest.TestCase):
    def test_zones(self):
        for zone, name in ((None, ""), ("Europe/Berlin", "Europe/Berlin"), (UTC, "UTC"),
                           (ZoneInfo("Asia/Tokyo"), "Asia/Tokyo")):
            self.assertEqual(schedule_of(make("cron", {"hour": 3, "timezone": zone}, None), None).zone, name)
            self.assertEqual(schedule_of(make("cron", {"hour": 3}, zone), None).zone, name)
        with self.assertRaisesRegex(ValueError, "no place"):
            make("cron", {"hour": 3, "timezone": dt.timezone(dt.timedelta(hours=1))}, None)

    def test_dates(self):
        real = RealDate("2030-05-06 07:08:09", timezone="Europe/Berlin")
        for given in ("2030-05-06 07:08:09", dt.datetime(2030, 5, 6, 7, 8, 9)):
            ours = make("date", {"run_date": given}, "Europe/Berlin")
            self.assertEqual(ours.run_date, real.run_date)
        self.assertEqual(make("date", {"run_date": dt.date(2030, 5, 6)}, "UTC").run_date,
                         dt.datetime(2030, 5, 6, tzinfo=UTC))
        self.assertTrue(triggers.is_date(real))


if __name__ == "__main__":
    unittest.main()
