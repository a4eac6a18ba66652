// Publishes an earthquake, or reads an inbox: franz-go and hamba/avro, nothing of Lintas.
//
//	earthquakes publish CREDENTIALS_FILE EVENT_ID
//	earthquakes read CREDENTIALS_FILE GROUP COUNT
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string) error {
	if len(arguments) < 3 {
		return fmt.Errorf("usage: earthquakes publish FILE EVENT_ID | read FILE GROUP COUNT")
	}
	settings, err := readSettings(arguments[1])
	if err != nil {
		return err
	}
	switch {
	case arguments[0] == "publish":
		return publish(ctx, settings, arguments[2])
	case arguments[0] == "read" && len(arguments) == 4:
		count, err := strconv.Atoi(arguments[3])
		if err != nil {
			return err
		}
		return read(ctx, settings, arguments[2], count)
	}
	return fmt.Errorf("there is no such command: %s", arguments[0])
}
