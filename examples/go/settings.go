package main

import (
	"crypto/tls"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	"github.com/twmb/franz-go/pkg/sr"
)

// settings is a system's credentials file: a properties file as Java's clients take it.
type settings map[string]string

var jaas = regexp.MustCompile(`username="([^"]+)" password="([^"]+)"`)

func readSettings(file string) (settings, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	found := settings{}
	for _, line := range strings.Split(string(text), "\n") {
		if name, value, ok := strings.Cut(line, "="); ok {
			found[name] = value
		}
	}
	if jaas.FindStringSubmatch(found["sasl.jaas.config"]) == nil {
		return nil, fmt.Errorf("%s names no user and password", file)
	}
	return found, nil
}

// system is the one that the file belongs to, as bmkg.inatews.
func (s settings) system() string { return jaas.FindStringSubmatch(s["sasl.jaas.config"])[1] }

func (s settings) kafka(more ...kgo.Opt) (*kgo.Client, error) {
	user := jaas.FindStringSubmatch(s["sasl.jaas.config"])
	options := []kgo.Opt{
		kgo.SeedBrokers(strings.Split(s["bootstrap.servers"], ",")...),
		kgo.SASL(scram.Auth{User: user[1], Pass: user[2]}.AsSha512Mechanism()),
	}
	if s["security.protocol"] == "SASL_SSL" {
		options = append(options, kgo.DialTLSConfig(&tls.Config{MinVersion: tls.VersionTLS12}))
	}
	return kgo.NewClient(append(options, more...)...)
}

func (s settings) registry() (*sr.Client, error) {
	return sr.NewClient(sr.URLs(s["schema.registry.url"]))
}
