// What tests/foreign/eventHubs.test.ts asks of an SDK, with the one for Go. Prints one JSON object a line.
package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	hubs "github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

var (
	connection = os.Getenv("CONNECTION")
	hub        = os.Getenv("HUB")
	ctx        context.Context
	once       = hubs.RetryOptions{MaxRetries: -1}
)

// Prints what a check found, or the error that ended it.
func check(name string, run func() (any, error)) {
	found, err := run()
	line := map[string]any{"check": name, "value": found}
	if err != nil {
		line = map[string]any{"check": name, "error": kind(err), "text": err.Error()}
	}
	text, _ := json.Marshal(line)
	fmt.Println(string(text))
}

func kind(err error) string {
	var known *hubs.Error
	if errors.As(err, &known) {
		return string(known.Code)
	}
	return fmt.Sprintf("%T", err)
}

func producer(hub string) *hubs.ProducerClient { return producerOn(connection, hub) }

func producerOn(connection string, hub string) *hubs.ProducerClient {
	made, err := hubs.NewProducerClientFromConnectionString(connection, hub, &hubs.ProducerClientOptions{RetryOptions: once})
	if err != nil {
		panic(err)
	}
	return made
}

func consumer(hub string) *hubs.ConsumerClient {
	made, err := hubs.NewConsumerClientFromConnectionString(
		connection, hub, hubs.DefaultConsumerGroup, &hubs.ConsumerClientOptions{RetryOptions: once})
	if err != nil {
		panic(err)
	}
	return made
}

func send(to *hubs.ProducerClient, options *hubs.EventDataBatchOptions, events ...*hubs.EventData) error {
	batch, err := to.NewEventDataBatch(ctx, options)
	if err != nil {
		return err
	}
	for _, event := range events {
		if err := batch.AddEventData(event, nil); err != nil {
			return err
		}
	}
	return to.SendEventDataBatch(ctx, batch, nil)
}

func numbered(prefix string, count int) []*hubs.EventData {
	events := []*hubs.EventData{}
	for i := range count {
		events = append(events, &hubs.EventData{Body: []byte(prefix + strconv.Itoa(i))})
	}
	return events
}

func read(hub string, partition string, start hubs.StartPosition, level *int64, count int) ([]*hubs.ReceivedEventData, error) {
	client := consumer(hub)
	defer client.Close(ctx)
	reader, err := client.NewPartitionClient(partition, &hubs.PartitionClientOptions{StartPosition: start, OwnerLevel: level})
	if err != nil {
		return nil, err
	}
	defer reader.Close(ctx)
	return reader.ReceiveEvents(ctx, count, nil)
}

func texts(events []*hubs.ReceivedEventData) []string {
	found := []string{}
	for _, event := range events {
		found = append(found, string(event.Body))
	}
	return found
}

func readTexts(partition string, start hubs.StartPosition, count int) (any, error) {
	events, err := read(hub, partition, start, nil, count)
	return texts(events), err
}

func main() {
	limited, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	ctx = limited
	sender := producer(hub)
	earliest := hubs.StartPosition{Earliest: to.Ptr(true)}

	check("hub", func() (any, error) {
		facts, err := sender.GetEventHubProperties(ctx, nil)
		return map[string]any{"name": facts.Name, "partitions": facts.PartitionIDs}, err
	})
	check("partition", func() (any, error) {
		facts, err := sender.GetPartitionProperties(ctx, "0", nil)
		return map[string]any{"begin": facts.BeginningSequenceNumber, "last": facts.LastEnqueuedSequenceNumber, "empty": facts.IsEmpty}, err
	})
	check("send", func() (any, error) {
		single := &hubs.EventData{Body: []byte{0, 1, 255}, Properties: map[string]any{"text": "한국", "number": int64(7), "yes": true}}
		return nil, errors.Join(
			send(sender, &hubs.EventDataBatchOptions{PartitionID: to.Ptr("1")}, single),
			send(sender, &hubs.EventDataBatchOptions{PartitionID: to.Ptr("0")}, numbered("", 100)...),
			send(sender, &hubs.EventDataBatchOptions{PartitionKey: to.Ptr("room-한국")}, numbered("key ", 10)...))
	})
	var sixtieth string
	check("read", func() (any, error) {
		events, err := read(hub, "0", earliest, nil, 100)
		if len(events) > 59 {
			sixtieth = events[59].Offset
		}
		return texts(events), err
	})
	check("from a sequence number", func() (any, error) {
		return readTexts("0", hubs.StartPosition{SequenceNumber: to.Ptr(int64(50)), Inclusive: true}, 5)
	})
	check("behind an offset", func() (any, error) {
		return readTexts("0", hubs.StartPosition{Offset: &sixtieth}, 5)
	})
	check("bytes and properties", func() (any, error) {
		events, err := read(hub, "1", earliest, nil, 1)
		if err != nil {
			return nil, err
		}
		return map[string]any{"body": hex.EncodeToString(events[0].Body), "properties": events[0].Properties}, nil
	})
	check("processor", func() (any, error) { return process(110 + 1) })
	checkLevels(earliest)
	check("send to no hub", func() (any, error) {
		return nil, send(producer("nowhere"), &hubs.EventDataBatchOptions{PartitionID: to.Ptr("0")}, numbered("", 1)...)
	})
	check("properties of no hub", func() (any, error) {
		_, err := producer("nowhere").GetEventHubProperties(ctx, nil)
		return nil, err
	})
	check("read no hub", func() (any, error) {
		_, err := read("nowhere", "0", earliest, nil, 1)
		return nil, err
	})
	wrong := producerOn(strings.Replace(connection, "SharedAccessKey=", "SharedAccessKey=x", 1), hub)
	check("send with a wrong key", func() (any, error) { return nil, send(wrong, nil, numbered("", 1)...) })
	check("properties with a wrong key", func() (any, error) {
		_, err := wrong.GetEventHubProperties(ctx, nil)
		return nil, err
	})
}

// A reader is taken over by a higher owner level, and one with a lower level is refused.
func checkLevels(earliest hubs.StartPosition) {
	client := consumer(hub)
	defer client.Close(ctx)
	open := func(level int64) (*hubs.PartitionClient, error) {
		return client.NewPartitionClient("0", &hubs.PartitionClientOptions{StartPosition: earliest, OwnerLevel: &level})
	}
	older, err := open(1)
	if err == nil {
		_, err = older.ReceiveEvents(ctx, 100, nil)
	}
	if err != nil {
		check("taken over", func() (any, error) { return nil, err })
		return
	}
	newer, _ := open(2)
	newer.ReceiveEvents(ctx, 1, nil)
	check("taken over", func() (any, error) {
		_, err := older.ReceiveEvents(ctx, 1000, nil)
		return nil, err
	})
	check("refused", func() (any, error) {
		lower, err := open(1)
		if err == nil {
			_, err = lower.ReceiveEvents(ctx, 1, nil)
		}
		return nil, err
	})
	newer.Close(ctx)
}

// Reads the whole hub with a processor, and returns what came from each partition.
func process(count int) (any, error) {
	client := consumer(hub)
	defer client.Close(ctx)
	processor, err := hubs.NewProcessor(client, &memory{checkpoints: map[string]hubs.Checkpoint{}, owners: map[string]hubs.Ownership{}}, &hubs.ProcessorOptions{
		LoadBalancingStrategy: hubs.ProcessorStrategyGreedy,
		UpdateInterval:        time.Second,
		StartPositions:        hubs.StartPositions{Default: hubs.StartPosition{Earliest: to.Ptr(true)}},
	})
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- processor.Run(running) }()
	var lock sync.Mutex
	found := map[string][]string{}
	var waiting sync.WaitGroup
	for range 3 {
		partition := processor.NextPartitionClient(running)
		if partition == nil {
			break
		}
		waiting.Add(1)
		go func() {
			defer waiting.Done()
			defer partition.Close(ctx)
			for running.Err() == nil {
				turn, over := context.WithTimeout(running, time.Second)
				events, _ := partition.ReceiveEvents(turn, 100, nil)
				over()
				if len(events) == 0 {
					continue
				}
				lock.Lock()
				found[partition.PartitionID()] = append(found[partition.PartitionID()], texts(events)...)
				count -= len(events)
				if count <= 0 {
					stop()
				}
				lock.Unlock()
				partition.UpdateCheckpoint(ctx, events[len(events)-1], nil)
			}
		}()
	}
	waiting.Wait()
	stop()
	return found, <-ended
}

// A checkpoint store for one process.
type memory struct {
	lock        sync.Mutex
	checkpoints map[string]hubs.Checkpoint
	owners      map[string]hubs.Ownership
}

func (m *memory) ClaimOwnership(_ context.Context, wanted []hubs.Ownership, _ *hubs.ClaimOwnershipOptions) ([]hubs.Ownership, error) {
	m.lock.Lock()
	defer m.lock.Unlock()
	for i := range wanted {
		wanted[i].LastModifiedTime = time.Now()
		m.owners[wanted[i].PartitionID] = wanted[i]
	}
	return wanted, nil
}

func (m *memory) ListCheckpoints(context.Context, string, string, string, *hubs.ListCheckpointsOptions) ([]hubs.Checkpoint, error) {
	m.lock.Lock()
	defer m.lock.Unlock()
	return values(m.checkpoints), nil
}

func (m *memory) ListOwnership(context.Context, string, string, string, *hubs.ListOwnershipOptions) ([]hubs.Ownership, error) {
	m.lock.Lock()
	defer m.lock.Unlock()
	return values(m.owners), nil
}

func (m *memory) SetCheckpoint(_ context.Context, checkpoint hubs.Checkpoint, _ *hubs.SetCheckpointOptions) error {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.checkpoints[checkpoint.PartitionID] = checkpoint
	return nil
}

func values[T any](of map[string]T) []T {
	found := []T{}
	for _, value := range of {
		found = append(found, value)
	}
	return found
}
