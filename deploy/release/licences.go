package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// isLicence matches the files at the top of a module that must accompany copies of it.
var isLicence = regexp.MustCompile(`(?i)^(licen[sc]e|copying|notice|patents)`)

// thirdParties returns the licences of all third-party code in a program. Most licences require this.
func thirdParties(ctx context.Context, info *buildinfo.BuildInfo) ([]byte, error) {
	root, err := goOutput(ctx, "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := appendLicences(&b, "The Go standard library, "+info.GoVersion, strings.TrimSpace(root)); err != nil {
		return nil, err
	}
	for _, module := range info.Deps {
		folder, err := goOutput(ctx, "list", "-m", "-f", "{{.Dir}}", module.Path)
		if err != nil {
			return nil, err
		}
		if err := appendLicences(&b, module.Path+" "+module.Version, strings.TrimSpace(folder)); err != nil {
			return nil, err
		}
	}
	if err := appendVendored(ctx, &b); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// appendVendored adds the licences of vendored files that belong to no module.
func appendVendored(ctx context.Context, b *bytes.Buffer) error {
	root, err := goOutput(ctx, "list", "-m", "-f", "{{.Dir}}")
	if err != nil {
		return err
	}
	return appendLicences(b, "Files of the console", filepath.Join(strings.TrimSpace(root), "console", "assets"))
}

func appendLicences(b *bytes.Buffer, what, folder string) error {
	files, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	found := false
	for _, file := range files {
		if !file.Type().IsRegular() || !isLicence.MatchString(file.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(folder, file.Name()))
		if err != nil {
			return err
		}
		found = true
		fmt.Fprintf(b, "==== %s: %s\n\n%s\n\n", what, file.Name(), bytes.TrimSpace(text))
	}
	if !found {
		return fmt.Errorf("%s has no licence in %s", what, folder)
	}
	return nil
}

func goOutput(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "go", args...).Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
	}
	return string(out), nil
}
