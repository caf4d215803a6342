"""Work of the python row: what scripts do. Parses modules of the standard library, takes JSON apart
and puts it together, counts words, formats text. Takes the number of rounds as its argument."""
import ast
import collections
import json
import re
import string
import sys
import sysconfig

MODULES = ("argparse.py", "ast.py", "textwrap.py", "json/decoder.py", "string.py")


def read_modules():
    root = sysconfig.get_paths()["stdlib"]
    texts = []
    for name in MODULES:
        with open(root + "/" + name, encoding="utf-8") as file:
            texts.append(file.read())
    return texts


def count_nodes(text):
    return collections.Counter(type(node).__name__ for node in ast.walk(ast.parse(text)))


def make_orders(count):
    return [{"id": n, "name": "customer %d" % (n * 7919 % 1000), "tags": ["t%d" % (n % 13), "x"],
             "lines": [{"item": "item %d" % (n * k % 97), "price": n * k % 1000 / 10}
                       for k in range(1, 5)]} for n in range(count)]


def report(orders):
    template = string.Template("$name owes $sum for $count lines")
    lines = [template.substitute(name=order["name"], count=len(order["lines"]),
                                 sum="%.2f" % sum(line["price"] for line in order["lines"]))
             for order in orders]
    return sorted(lines, key=str.lower)


def main():
    total = 0
    for _ in range(int(sys.argv[1])):
        for text in read_modules():
            total += sum(count_nodes(text).values())
            total += len(collections.Counter(re.findall(r"[A-Za-z_]\w+", text)))
        orders = json.loads(json.dumps(make_orders(3000), indent=1))
        total += len("\n".join(report(orders)))
    print(total)


main()
