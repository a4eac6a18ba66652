package main

import (
	"context"
	"encoding/json"
	"math/big"
	"os"
	"strings"

	"github.com/hamba/avro/v2"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
)

type delivery struct {
	Event map[string]string `json:"event"`
	Data  any               `json:"data"`
}

// read prints a line of JSON for each delivery; group is the system's own name, or begins with it and a point.
func read(ctx context.Context, s settings, group string, count int) error {
	registry, err := s.registry()
	if err != nil {
		return err
	}
	client, err := s.kafka(
		kgo.ConsumerGroup(group),
		kgo.ConsumeTopics("inbox."+s.system()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), // lanes write in transactions
		kgo.DisableAutoCommit(),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	schemas := map[int]avro.Schema{}
	lines := json.NewEncoder(os.Stdout)
	for count > 0 {
		fetched := client.PollFetches(ctx)
		if err := fetched.Err(); err != nil {
			return err
		}
		for _, record := range fetched.Records() {
			data, err := decode(ctx, registry, schemas, record.Value)
			if err != nil {
				return err
			}
			event := map[string]string{}
			for _, header := range record.Headers {
				if name, ok := strings.CutPrefix(header.Key, "ce_"); ok {
					event[name] = string(header.Value)
				}
			}
			if err := lines.Encode(delivery{event, data}); err != nil {
				return err
			}
			count--
		}
		// What has been printed is done; after a crash a few come again.
		if err := client.CommitUncommittedOffsets(ctx); err != nil {
			return err
		}
	}
	return nil
}

// decode reads Confluent's framing: 0, the schema's id in 4 bytes, Avro.
func decode(ctx context.Context, registry *sr.Client, schemas map[int]avro.Schema, value []byte) (any, error) {
	id, body, err := new(sr.ConfluentHeader).DecodeID(value)
	if err != nil {
		return nil, err
	}
	if schemas[id] == nil {
		registered, err := registry.SchemaByID(ctx, id)
		if err != nil {
			return nil, err
		}
		if schemas[id], err = avro.Parse(registered.Schema); err != nil {
			return nil, err
		}
	}
	var payload map[string]any
	if err := avro.Unmarshal(schemas[id], body, &payload); err != nil {
		return nil, err
	}
	for name, value := range payload {
		if decimal, ok := value.(*big.Rat); ok { // Avro's decimals
			digits, _ := decimal.FloatPrec()
			payload[name] = decimal.FloatString(digits)
		}
	}
	return payload, nil
}
