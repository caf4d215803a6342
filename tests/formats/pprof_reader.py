"""Reads a gzip'ed profile.proto without any library, so that what poolprof writes is checked against the format's
own numbers and not against its writer. `python3 pprof_reader.py FILE` prints it.
"""
import gzip
import sys


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7f) << shift
        at += 1
        shift += 7
        if byte < 0x80:
            return value, at


def fields(data):
    """[(field, value)] of a message: integers and bytes."""
    at, found = 0, []
    while at < len(data):
        key, at = varint(data, at)
        value, at = varint(data, at)
        if key & 7 == 2:
            value, at = data[at:at + value], at + value
        elif key & 7 != 0:
            raise ValueError(f"wire type {key & 7}")
        found.append((key >> 3, value))
    if at != len(data):
        raise ValueError("a field goes beyond its message")
    return found


def packed(data):
    at, found = 0, []
    while at < len(data):
        value, at = varint(data, at)
        found.append(value)
    return found


class Profile:
    """types, samples [(frames, values, labels)] with frames innermost first, mappings, comments, ..."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.rows = fields(gzip.decompress(file.read()))
        self.strings = [value.decode("utf-8") for field, value in self.rows if field == 6]
        if self.strings[0] != "" or len(set(self.strings)) != len(self.strings):
            raise ValueError("the string table")
        self.mappings = {row[1]: row for row in map(dict, map(fields, self.all(3)))}
        self.functions = {row[1]: row for row in map(dict, map(fields, self.all(5)))}
        self.locations = {}
        for rows in map(fields, self.all(4)):
            self.add_location(rows)
        self.types = [(self.text(dict(fields(t)).get(1, 0)), self.text(dict(fields(t)).get(2, 0)))
                      for t in self.all(1)]
        self.comments = [self.text(number) for number in self.all(13)]
        self.default = self.text(self.one(14))
        self.time_ns, self.duration_ns = self.one(9), self.one(10)
        self.samples = [self.sample(fields(s)) for s in self.all(2)]

    def all(self, field):
        return [value for number, value in self.rows if number == field]

    def one(self, field):
        return (self.all(field) or [0])[0]

    def text(self, number):
        return self.strings[number]

    def add_location(self, rows):
        row = {field: value for field, value in rows if field != 4}
        lines = [dict(fields(value)) for field, value in rows if field == 4]
        if row[1] in self.locations or (row.get(2, 0) and row[2] not in self.mappings):
            raise ValueError(f"location {row}")
        names = [(self.text(self.functions[line[1]].get(2, 0)), self.text(self.functions[line[1]].get(4, 0)),
                  line.get(2, 0)) for line in lines]
        self.locations[row[1]] = {"mapping": row.get(2, 0), "address": row.get(3, 0), "lines": names}

    def sample(self, rows):
        labels = {}
        for value in (value for field, value in rows if field == 3):
            label = dict(fields(value))
            labels[self.text(label[1])] = self.text(label.get(2, 0))
        values = [number for field, value in rows if field == 2 for number in packed(value)]
        if len(values) != len(self.types):
            raise ValueError(f"{len(values)} values")
        where = [self.locations[number] for field, value in rows if field == 1 for number in packed(value)]
        return where, values, labels

    def lines(self):
        """The whole profile as text."""
        yield "types " + ", ".join(f"{name}/{unit}" for name, unit in self.types) + f"; default {self.default}"
        yield f"time {self.time_ns} duration {self.duration_ns}"
        yield from (f"comment {comment}" for comment in self.comments)
        for number, row in self.mappings.items():
            has = "".join("FPLI"[i] if row.get(7 + i) else "-" for i in range(4))
            yield (f"mapping {number} {row.get(2, 0):#x}-{row.get(3, 0):#x} {self.text(row.get(5, 0))} "
                   f"[{self.text(row.get(6, 0))}] {has}")
        for where, values, labels in self.samples:
            yield "sample " + " ".join(map(str, values)) + "".join(f" {k}={v}" for k, v in sorted(labels.items()))
            for location in where:
                names = " <- ".join(f"{name} {file}:{line}" for name, file, line in location["lines"])
                yield f"    {location['mapping']}:{location['address']:#x} {names}".rstrip()


if __name__ == "__main__":
    print("\n".join(Profile(sys.argv[1]).lines()))
