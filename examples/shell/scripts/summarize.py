"""Sum the sales of each region: summarize.py ROWS TABLE METRICS."""

import csv
import json
import sys

rows_path, table_path, metrics_path = sys.argv[1:]
totals: dict[str, float] = {}
count = 0
with open(rows_path, newline="", encoding="utf-8") as file:
    for row in csv.DictReader(file):
        totals[row["region"]] = totals.get(row["region"], 0.0) + float(row["amount"])
        count += 1
with open(table_path, "w", newline="", encoding="utf-8") as file:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["region", "amount"])
    writer.writerows(sorted(totals.items()))
with open(metrics_path, "w", encoding="utf-8") as file:
    json.dump({"rows": count, "regions": len(totals), "total": sum(totals.values())}, file)
