// A client in Go: simulates a workload, generates, goes away in the middle, steers a simulation.
//
//	go run . [address]      default: localhost:50051
//
// The stubs are made by `npx buf generate --template buf.gen.clients.yaml`. Every step checks what
// came back.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	sim "llmservingsim.example/client/gen/llmservingsim/v1"
)

func pool() *sim.Pool {
	return &sim.Pool{Model: "meta-llama/Llama-3.1-8B-Instruct", Hardware: "H100"}
}

func check(ok bool, format string, args ...any) {
	if !ok {
		log.Fatalf(format, args...)
	}
}

func must[T any](value T, err error) T {
	check(err == nil, "%v", err)
	return value
}

// each calls do for every message of a stream.
func each[T any](stream grpc.ServerStreamingClient[T], do func(*T)) error {
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		do(message)
	}
}

// simulate runs a workload, token by token.
func simulate(ctx context.Context, client sim.SimulateServiceClient) {
	stream := must(client.Simulate(ctx, &sim.SimulateRequest{
		Detail: "tokens",
		Scenario: &sim.Scenario{
			Pools: []*sim.Pool{pool()},
			Workload: &sim.Workload{
				NumPrompts:  100,
				RequestRate: 20,
				Source: &sim.Workload_Random{Random: &sim.RandomDataset{
					RandomInputLen: 512, RandomOutputLen: 32,
				}},
			},
		},
	}))
	numTokens := 0
	var report *sim.Report
	err := each(stream, func(message *sim.SimulateResponse) {
		for _, event := range message.GetEvents().GetEvents() {
			numTokens += len(event.GetTokens().GetRequestIds())
		}
		if message.GetReport() != nil {
			report = message.GetReport()
		}
	})
	check(err == nil, "simulate: %v", err)
	check(report.GetCompleted() == 100 && numTokens == 3200, "%d tokens, %v", numTokens, report)
	fmt.Printf("simulate   %d tokens, mean TTFT %.1f ms\n", numTokens, report.Ttft.MeanMs)
}

// generate runs one request on the live cluster.
func generate(ctx context.Context, client sim.SimulateServiceClient) {
	stream := must(client.Generate(ctx, &sim.GenerateRequest{
		Prompt:    &sim.GenerateRequest_Text{Text: "Why is the sky blue?"},
		MaxTokens: 20,
		IgnoreEos: true,
	}))
	numTokens := uint32(0)
	var finish *sim.RequestFinish
	err := each(stream, func(message *sim.GenerateResponse) {
		numTokens += message.NumTokens
		finish = message.Finish
	})
	check(err == nil, "generate: %v", err)
	check(numTokens == 20 && finish.GetFinishReason() == "length", "%d, %v", numTokens, finish)
	fmt.Printf("generate   %d tokens, TTFT %.1f ms\n", numTokens, finish.GetTtftMs())
}

// goAway leaves in the middle, and its KV comes home.
func goAway(ctx context.Context, client sim.SimulateServiceClient, state sim.StatusServiceClient) {
	now := func() *sim.ClusterStatus {
		return must(state.GetStatus(ctx, &sim.GetStatusRequest{})).Status
	}
	before := now().AbortedRequests
	leaving, cancel := context.WithCancel(ctx)
	defer cancel()
	stream := must(client.Generate(leaving, &sim.GenerateRequest{
		Prompt:    &sim.GenerateRequest_PromptTokens{PromptTokens: 1000},
		MaxTokens: 2000,
		IgnoreEos: true,
	}))
	must(stream.Recv())
	cancel()
	for range 100 {
		if now().AbortedRequests > before && now().RunningRequests == 0 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	check(now().AbortedRequests == before+1 && now().MemoryUsage.Used == 0, "%v", now())
	fmt.Printf("go away    %.0f aborted, no KV in use\n", now().AbortedRequests)
}

// refused shows that refusals name the field.
func refused(ctx context.Context, client sim.SimulateServiceClient) {
	wrong := &sim.Scenario{Pools: []*sim.Pool{{Model: "llama-9", Hardware: "H100"}}}
	stream := must(client.Simulate(ctx, &sim.SimulateRequest{Scenario: wrong}))
	_, err := stream.Recv()
	refusal := status.Convert(err)
	check(refusal.Code() == codes.NotFound, "%v", err)
	first, _, _ := strings.Cut(refusal.Message(), "\n")
	check(strings.HasPrefix(first, "scenario.pools[0].model"), "%v", err)
	fmt.Printf("refused    %s\n", first)
}

// steer tells a simulation what comes next.
func steer(ctx context.Context, client sim.SimulateServiceClient) {
	stream := must(client.SimulateStream(ctx))
	send := func(request *sim.SimulateStreamRequest) {
		err := stream.Send(request)
		check(err == nil, "steer: %v", err)
	}
	send(&sim.SimulateStreamRequest{Command: &sim.SimulateStreamRequest_Configure{
		Configure: &sim.Configure{
			Scenario: &sim.Scenario{Pools: []*sim.Pool{pool()}},
			Detail:   "requests",
		},
	}})
	submit := func(id string, outputTokens uint32) {
		send(&sim.SimulateStreamRequest{Command: &sim.SimulateStreamRequest_Submit{
			Submit: &sim.Submit{Request: &sim.Request{
				RequestId: id, PromptTokens: 100, OutputTokens: outputTokens,
			}},
		}})
	}
	submit("short", 10)
	submit("long", 1000)
	send(&sim.SimulateStreamRequest{Command: &sim.SimulateStreamRequest_Advance{
		Advance: &sim.Advance{UntilMs: 1000},
	}})
	for {
		message := must(stream.Recv())
		if advanced := message.GetAdvanced(); advanced != nil {
			check(advanced.NumUnfinished == 1, "%v", advanced)
			break
		}
	}
	send(&sim.SimulateStreamRequest{Command: &sim.SimulateStreamRequest_Cancel{
		Cancel: &sim.Cancel{RequestId: "long"},
	}})
	check(stream.CloseSend() == nil, "cannot close")
	var report *sim.Report
	err := each(stream, func(message *sim.SimulateStreamResponse) { report = message.GetReport() })
	check(err == nil, "steer: %v", err)
	check(report.GetCompleted() == 1 && report.GetFailed() == 1, "%v", report)
	fmt.Println("steer      one finished, one cancelled after a second of simulated time")
}

func main() {
	address := "localhost:50051"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	connection := must(grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials())))
	defer connection.Close()
	client := sim.NewSimulateServiceClient(connection)
	simulate(ctx, client)
	generate(ctx, client)
	goAway(ctx, client, sim.NewStatusServiceClient(connection))
	refused(ctx, client)
	steer(ctx, client)
}
