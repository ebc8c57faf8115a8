package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"apikeyd/apikey"
)

// maxScannedFile limits a file that is searched for secrets, in bytes.
const maxScannedFile = 256 << 20

// leaksCommands are about secrets that leaked.
type leaksCommands struct {
	Report leaksReportCommand `cmd:"" help:"Report every secret in a file as leaked, which ends it."`
}

// Help says where the commands look for keys.
func (leaksCommands) Help() string { return whereKeysAre }

type leaksReportCommand struct {
	File   string `arg:"" name:"file" help:"What a scanner found, or any other text; - is standard input."`
	Format string `default:"plain" enum:"plain,github,gitlab" placeholder:"FORMAT" help:"plain is any text; github is a batch of its secret scanning, gitlab a report of its secret detection (${default})."`
	target
}

// Help explains the command.
func (leaksReportCommand) Help() string {
	return `Finds the secrets in a file by their form and checksum, and reports each as leaked: a key's current secret revokes the key for good, an old one ends its grace, and any other changes nothing. Prints what was reported, never a whole secret. With --url it needs no key.

Examples:

    # What a scanner found, on a server
    gitleaks git --report-path leaks.json
    apikeyd leaks report leaks.json --url https://keys.example.com

    # A log, in the database of this folder
    grep -r ak_ /var/log/app | apikeyd leaks report -

    # GitLab's report of a pipeline
    apikeyd leaks report gl-secret-detection-report.json --format gitlab --url https://keys.example.com`
}

// Validate refuses to read two things from standard input.
func (c *leaksReportCommand) Validate() error {
	if c.File == stdinName && c.readsStdin() && c.place != "url" {
		return errors.New("standard input cannot hold both your own key and the text to search: put one of them in a file")
	}
	return nil
}

// Run reports what it finds.
func (c *leaksReportCommand) Run(ctx context.Context, s streams) (err error) {
	text, err := await(ctx, begin(func() (string, error) { return c.read(s) }))
	if err != nil {
		return err
	}
	texts, err := leakedTexts(c.Format, text)
	if err != nil {
		return fmt.Errorf("%s (--format %s): %w", inputName(c.File), c.Format, err)
	}
	found := apikey.FindSecrets(strings.Join(texts, "\n"))
	if len(found) == 0 {
		fmt.Fprintf(s.err, "%s holds no secret of apikeyd's form; nothing was reported.\n", inputName(c.File))
		return nil
	}
	keys, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, keys.close()) }()
	for i, secret := range found {
		if err := keys.client.ReportLeak(ctx, secret.Reveal()); err != nil {
			return fmt.Errorf("%d of %d secrets were reported; %s failed: %w", i, len(found), secret.Prefix(),
				keys.explain(err))
		}
		if _, err := fmt.Fprintln(s.out, secret.Prefix()); err != nil {
			return err
		}
	}
	fmt.Fprintf(s.err, "Secrets reported: %d. Those that worked are ended.\n", len(found))
	return nil
}

// connect opens where the keys are. A server that is named by its URL needs no key.
func (c *leaksReportCommand) connect(ctx context.Context, s streams) (keyring, error) {
	if c.place == "url" {
		return connect(c.URL, noSecret, c.Timeout)
	}
	return c.open(ctx, s)
}

func (c *leaksReportCommand) read(s streams) (string, error) {
	var from io.Reader = s.in.lines
	if c.File != stdinName {
		file, err := os.Open(c.File)
		if err != nil {
			return "", err
		}
		defer file.Close() //nolint:errcheck // it was only read
		from = file
	}
	text, err := io.ReadAll(io.LimitReader(from, maxScannedFile+1))
	if err == nil && len(text) > maxScannedFile {
		err = fmt.Errorf("%s is larger than %d MiB; split it", inputName(c.File), maxScannedFile>>20)
	}
	return string(text), err
}

// leakedTexts returns the parts of a report that can hold secrets, without JSON's escapes.
func leakedTexts(format, text string) ([]string, error) {
	switch format {
	case "github":
		var finds []struct {
			Token *string `json:"token"`
		}
		if err := json.Unmarshal([]byte(text), &finds); err != nil {
			return nil, errors.New(`must be JSON such as [{"token": "…", "type": "…", "url": "…", "source": "content"}]`)
		}
		var tokens []string
		for i, find := range finds {
			if find.Token == nil {
				return nil, fmt.Errorf("entry %d has no token", i+1)
			}
			tokens = append(tokens, *find.Token)
		}
		return tokens, nil
	case "gitlab":
		var report struct {
			Vulnerabilities *[]any `json:"vulnerabilities"`
		}
		if err := json.Unmarshal([]byte(text), &report); err != nil || report.Vulnerabilities == nil {
			return nil, errors.New(`must be JSON such as {"vulnerabilities": [{"raw_source_code_extract": "…"}]}`)
		}
		return textsIn(*report.Vulnerabilities), nil
	}
	return []string{text}, nil
}

// textsIn returns all strings in a JSON value: GitLab's analyzers have the secret in raw_source_code_extract, or
// somewhere in details.
func textsIn(value any) []string {
	var all []string
	switch value := value.(type) {
	case string:
		return []string{value}
	case []any:
		for _, item := range value {
			all = append(all, textsIn(item)...)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(value)) {
			all = append(all, textsIn(value[name])...)
		}
	}
	return all
}
