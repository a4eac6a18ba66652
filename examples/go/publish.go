package main

import (
	"context"
	"fmt"
	"math/big"
	"time"

	"github.com/hamba/avro/v2"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
)

const (
	eventType = "id.go.bmkg.earthquake.measured.v1"
	topic     = "events.bmkg.earthquake.measured.v1"
	latest    = -1
)

type earthquake struct {
	EventID         string    `avro:"event_id"`
	OriginTime      time.Time `avro:"origin_time"`
	Latitude        float64   `avro:"latitude"`
	Longitude       float64   `avro:"longitude"`
	DepthKm         int       `avro:"depth_km"`
	Magnitude       *big.Rat  `avro:"magnitude"`
	MagnitudeTenths int       `avro:"magnitude_tenths"`
	Region          string    `avro:"region"`
}

// publish sends one event; published again with the same id, it is the same event: the bus drops repeats.
func publish(ctx context.Context, s settings, id string) error {
	registry, err := s.registry()
	if err != nil {
		return err
	}
	registered, err := registry.SchemaByVersion(ctx, topic+"-value", latest)
	if err != nil {
		return err
	}
	schema, err := avro.Parse(registered.Schema.Schema)
	if err != nil {
		return err
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	payload, err := avro.Marshal(schema, earthquake{
		EventID: id, OriginTime: now, Latitude: -6.6, Longitude: 129.9, DepthKm: 140,
		Magnitude: big.NewRat(58, 10), MagnitudeTenths: 58, Region: "Banda Sea",
	})
	if err != nil {
		return err
	}
	framed, err := new(sr.ConfluentHeader).AppendEncode(nil, registered.ID, nil)
	if err != nil {
		return err
	}
	client, err := s.kafka(kgo.RequiredAcks(kgo.AllISRAcks())) // idempotent is kgo's default
	if err != nil {
		return err
	}
	defer client.Close()
	record := &kgo.Record{
		Topic: topic,
		Key:   []byte("Banda Sea"), // events of one key stay in order
		Value: append(framed, payload...),
		// CloudEvents 1.0, Kafka protocol binding, binary mode.
		Headers: []kgo.RecordHeader{
			{Key: "content-type", Value: []byte("application/avro")},
			{Key: "ce_specversion", Value: []byte("1.0")},
			{Key: "ce_id", Value: []byte(id)},
			{Key: "ce_source", Value: []byte("urn:lintas:" + s.system())},
			{Key: "ce_type", Value: []byte(eventType)},
			{Key: "ce_subject", Value: []byte("Banda Sea")}, // the event type's subject field: region
			{Key: "ce_time", Value: []byte(now.Format("2006-01-02T15:04:05.000Z07:00"))},
		},
	}
	stored, err := client.ProduceSync(ctx, record).First()
	if err != nil {
		return err
	}
	fmt.Println(stored.Topic, stored.Partition, stored.Offset)
	return nil
}
