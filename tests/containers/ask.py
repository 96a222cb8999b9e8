"""Ask a server in all four dialects, by the example in its own OpenAPI document: `ask.py URL MODEL`."""

import json
import sys
import urllib.error
import urllib.request

url, model = sys.argv[1], sys.argv[2]


def ask(path, body=None, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url + path, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.headers


fields = json.loads(ask(f"/v2/models/{model}")[1])["inputs"]
values = {one["name"]: "a" if one["datatype"] == "BYTES" else 1 for one in fields}
inputs = [
    {"name": one["name"], "shape": [1], "datatype": one["datatype"], "data": [values[one["name"]]]} for one in fields
]
row = json.dumps({"dataframe_records": [values]}).encode()
instances = json.dumps({"instances": [values]}).encode()
found = {
    "V2": ask(f"/v2/models/{model}/infer", json.dumps({"inputs": inputs}).encode()),
    "KServe V1": ask(f"/v1/models/{model}:predict", instances, content_type="application/json"),
    "MLflow": ask("/invocations", row, content_type="application/json", x_amzn_sagemaker_target_model=model),
    "SageMaker": ask(
        "/invocations",
        ",".join(map(str, values.values())).encode(),
        content_type="text/csv",
        accept="text/csv",
        x_amzn_sagemaker_target_model=model,
        x_amzn_sagemaker_inference_id="id-1",
        x_amzn_sagemaker_custom_attributes="unit_id=u1",
    ),
}
answers = set()
for dialect, (status, body, _) in found.items():
    assert status == 200, (dialect, status, body)
    text = body.decode().strip()
    if dialect == "V2":
        answers.add(str(json.loads(text)["outputs"][0]["data"][0]))
    else:
        answers.add(text if dialect == "SageMaker" else str(json.loads(text)["predictions"][0]))
    print(f"{dialect}: {status} {text[:150]}")
assert len(answers) == 1, answers
assert found["SageMaker"][2]["x-request-id"] == "id-1"
status, body, _ = ask("/feedback", b'{"request_id": "id-1", "metric": "y", "value": 1}')
assert status == 403, (status, body)  # beyond loopback, without a token
print(f"feedback without a token: {status}")
