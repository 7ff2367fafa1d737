"""llama.cpp's own server over a GGUF: `llama_server.py MODEL.gguf`. Needs `xllamacpp`.

Prints its address once the model is loaded, and serves until standard input ends. Two slots, so
that a test can see one being freed; what each is at stands under ``/slots``.
"""

from __future__ import annotations

import sys

import xllamacpp

params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.hostnames = ["127.0.0.1"]
params.port = 0
params.n_ctx = 4096
params.n_parallel = 2
params.n_gpu_layers = 0
params.cpuparams.n_threads = 2
params.endpoint_slots = True
params.warmup = False
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
