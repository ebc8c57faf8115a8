package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"apikeyd/apikey"
	"apikeyd/internal/draft"
)

// defaultProfile is the profile that is used if none is named.
const defaultProfile = "default"

// profile is a server and the caller's own key for it. Printing it never shows the key.
type profile struct {
	url string
	key apikey.Secret
}

// profileFile is the content of a profile's file.
type profileFile struct {
	URL string `json:"url"`
	Key string `json:"key"`
}

// errNoPlace says that the user has no configuration folder, and therefore no profiles.
var errNoPlace = errors.New("there is no place for profiles")

var profileName = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z._-]{0,31}$`) // too short for a secret

// profilePath returns the file of a profile, which may not exist.
func profilePath(name string) (string, error) {
	if !profileName.MatchString(name) {
		return "", errors.New("a profile's name is 1 to 32 letters, digits, dots, dashes and underscores, " +
			"beginning with a letter or digit")
	}
	dir, err := profileDir()
	return filepath.Join(dir, name+".json"), err
}

func profileDir() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("%w: %w", errNoPlace, err)
	}
	return filepath.Join(dir, "apikeyd", "profiles"), nil
}

// loadProfile reads a profile. It returns fs.ErrNotExist if there is none, and refuses one that other
// users could have read or written.
func loadProfile(name string) (profile, error) {
	path, err := profilePath(name)
	if err != nil {
		return profile{}, err
	}
	file, err := os.Open(path)
	if err != nil {
		return profile{}, err
	}
	defer file.Close() //nolint:errcheck // it was only read
	if err := checkPrivate(file); err != nil {
		return profile{}, err
	}
	text, err := readBounded(file)
	if err != nil {
		return profile{}, err
	}
	var content profileFile
	secret, secretErr := apikey.Secret{}, error(nil)
	if err = json.Unmarshal([]byte(text), &content); err == nil {
		secret, secretErr = apikey.ParseSecret(apikey.TrimSecret(content.Key))
	}
	if err != nil || secretErr != nil || content.URL == "" {
		return profile{}, fmt.Errorf("%s is not a valid profile; run apikeyd login --profile %s to replace it", path, name)
	}
	return profile{url: content.URL, key: secret}, nil
}

// checkPrivate refuses a file that other users may read, write or replace.
func checkPrivate(file *os.File) error {
	if runtime.GOOS == "windows" {
		return nil // it has no modes; the folder belongs to the user
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("others may use %s, which holds a key (mode %04o): chmod 600 it, and rotate the key if they may have read it",
			file.Name(), mode)
	}
	dir := filepath.Dir(file.Name())
	if info, err = os.Stat(dir); err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return fmt.Errorf("others may change what is in %s, where keys are (mode %04o): chmod 700 it", dir, mode)
	}
	return nil
}

// save writes a profile, replacing an existing one, and returns its file.
func (p profile) save(name string) (string, error) {
	path, err := profilePath(name)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	text, err := json.Marshal(profileFile{URL: p.url, Key: p.key.Reveal()})
	if err != nil {
		return "", err
	}
	return path, draft.WritePrivate(path, string(text)+"\n")
}

// profileNames returns the names of all profiles, sorted.
func profileNames() ([]string, error) {
	dir, err := profileDir()
	if err != nil {
		return nil, nil // without a folder there are none
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if name, ok := strings.CutSuffix(entry.Name(), ".json"); ok && profileName.MatchString(name) {
			names = append(names, name)
		}
	}
	return names, nil
}
