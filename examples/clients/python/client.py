"""A client in Python: simulates a workload, generates, goes away in the middle, steers a simulation.

    python client.py [address]      default: localhost:50051

The stubs are made by `npx buf generate --template buf.gen.clients.yaml`. Run with a server's address;
every step checks what came back.
"""

import asyncio
import pathlib
import sys
import time

import grpc

sys.path.insert(0, str(pathlib.Path(__file__).parent / "gen"))

from llmservingsim.v1 import scenario_pb2, service_pb2, service_pb2_grpc, workload_pb2  # noqa: E402

POOL = scenario_pb2.Pool(model="meta-llama/Llama-3.1-8B-Instruct", hardware="H100")


def scenario(num_prompts: int) -> scenario_pb2.Scenario:
    load = workload_pb2.Workload(
        num_prompts=num_prompts,
        request_rate=20,
        random=workload_pb2.RandomDataset(random_input_len=512, random_output_len=32),
    )
    return scenario_pb2.Scenario(pools=[POOL], workload=load)


def simulate(stub: service_pb2_grpc.SimulateServiceStub) -> None:
    """A workload, token by token, and its report."""
    request = service_pb2.SimulateRequest(scenario=scenario(100), detail="tokens")
    num_tokens, report = 0, None
    for message in stub.Simulate(request):
        for event in message.events.events:
            num_tokens += len(event.tokens.request_ids)
        if message.HasField("report"):
            report = message.report
    assert report is not None and report.completed == 100, report
    assert num_tokens == report.total_output_tokens == 3200, num_tokens
    print(f"simulate   {num_tokens} tokens, mean TTFT {report.ttft.mean_ms:.1f} ms")


def generate(stub: service_pb2_grpc.SimulateServiceStub) -> None:
    """One request on the live cluster."""
    request = service_pb2.GenerateRequest(text="Why is the sky blue?", max_tokens=20, ignore_eos=True)
    messages = list(stub.Generate(request))
    assert sum(message.num_tokens for message in messages) == 20
    finish = messages[-1].finish
    assert finish.finish_reason == "length", finish
    print(f"generate   {finish.output_tokens} tokens, TTFT {finish.ttft_ms:.1f} ms")


def go_away(stub: service_pb2_grpc.SimulateServiceStub, status: service_pb2_grpc.StatusServiceStub) -> None:
    """A caller who leaves in the middle gives its KV back."""
    before = status.GetStatus(service_pb2.GetStatusRequest()).status.aborted_requests
    call = stub.Generate(service_pb2.GenerateRequest(prompt_tokens=1000, max_tokens=2000, ignore_eos=True))
    next(iter(call))
    call.cancel()
    for _ in range(100):
        now = status.GetStatus(service_pb2.GetStatusRequest()).status
        if now.aborted_requests > before and now.running_requests == 0:
            break
        time.sleep(0.02)
    assert now.aborted_requests == before + 1, now
    assert now.memory_usage.used == 0, now
    print(f"go away    {now.aborted_requests:.0f} aborted, no KV in use")


def refused(stub: service_pb2_grpc.SimulateServiceStub) -> None:
    """Refusals name the field."""
    wrong = scenario_pb2.Scenario(pools=[scenario_pb2.Pool(model="llama-9", hardware="H100")])
    try:
        list(stub.Simulate(service_pb2.SimulateRequest(scenario=wrong)))
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.NOT_FOUND, error
        assert error.details().startswith("scenario.pools[0].model"), error
        print(f"refused    {error.details().splitlines()[0]}")
    else:
        raise AssertionError("it was not refused")


async def steer(address: str) -> None:
    """The same with asyncio: a simulation that is told what comes next."""
    request = service_pb2.SimulateStreamRequest
    async with grpc.aio.insecure_channel(address) as channel:
        stub = service_pb2_grpc.SimulateServiceStub(channel)
        call = stub.SimulateStream()

        async def write(**command: object) -> None:
            await call.write(request(**command))

        async def until_advanced() -> list[str]:
            finished: list[str] = []
            while True:
                message = await call.read()
                finished += [
                    event.request_finish.request_id
                    for event in message.events.events
                    if event.HasField("request_finish")
                ]
                if message.HasField("advanced"):
                    return finished

        configure = service_pb2.Configure(scenario=scenario_pb2.Scenario(pools=[POOL]), detail="requests")
        await write(configure=configure)
        for name, length in (("short", 10), ("long", 1000)):
            body = workload_pb2.Request(request_id=name, prompt_tokens=100, output_tokens=length)
            await write(submit=service_pb2.Submit(request=body))
        await write(advance=service_pb2.Advance(until_ms=1000))
        assert await until_advanced() == ["short"]
        await write(cancel=service_pb2.Cancel(request_id="long"))
        await call.done_writing()
        report = None
        while (message := await call.read()) is not grpc.aio.EOF:
            report = message.report if message.HasField("report") else None
        assert report is not None and (report.completed, report.failed) == (1, 1), report
        print("steer      one finished, one cancelled after a second of simulated time")


async def watch(address: str) -> None:
    """Three states of the live cluster."""
    async with grpc.aio.insecure_channel(address) as channel:
        stub = service_pb2_grpc.StatusServiceStub(channel)
        call = stub.WatchStatus(service_pb2.WatchStatusRequest(interval_ms=20))
        times = [(await call.read()).status.at_ms for _ in range(3)]
        call.cancel()
        assert times == sorted(times), times
        print(f"watch      {', '.join(f'{at:.0f} ms' for at in times)}")


def main() -> None:
    address = sys.argv[1] if len(sys.argv) > 1 else "localhost:50051"
    with grpc.insecure_channel(address) as channel:
        stub = service_pb2_grpc.SimulateServiceStub(channel)
        status = service_pb2_grpc.StatusServiceStub(channel)
        simulate(stub)
        generate(stub)
        go_away(stub, status)
        refused(stub)
    asyncio.run(steer(address))
    asyncio.run(watch(address))


if __name__ == "__main__":
    main()
