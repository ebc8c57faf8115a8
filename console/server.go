package console

import (
	"net/http"
	"strconv"
	"time"

	"apikeyd/apikey"
)

// About describes the server that answers.
type About struct {
	Version, Revision, Go string
	Started               time.Time
	Database              string // without credentials
	Size                  int64  // of the database in bytes; 0 if it is not known
	Nodes                 []Node // that serve the database; none if it is a file
	LastBackup            time.Time
	BackupsElsewhere      bool // apikeyd makes no backups of such a database
	Settings              []Setting
}

// Node is a server of the database.
type Node struct {
	Name  string
	Since time.Time
	Self  bool // it answers
}

// Setting is a flag of the server and its value.
type Setting struct {
	Flag, Value, Help string
	Changed           bool // it is not the default
}

// serverPage shows administrators what this server is and how it is configured.
type serverPage struct{ About }

// Megabytes is the size of the database.
func (p serverPage) Megabytes() string {
	return strconv.FormatFloat(float64(p.Size)/1e6, 'f', 1, 64) + " MB"
}

// Changed are the settings that are not the default.
func (p serverPage) Changed() []Setting { return p.settings(true) }

// Defaults are the other ones.
func (p serverPage) Defaults() []Setting { return p.settings(false) }

func (p serverPage) settings(changed bool) (some []Setting) {
	for _, s := range p.Settings {
		if s.Changed == changed {
			some = append(some, s)
		}
	}
	return some
}

func showServer(v *visit) error {
	if !v.may(apikey.ScopeAdmin) {
		return v.refuseScope(apikey.ScopeAdmin, "Server", "This page shows how the server is configured. Your key may not see it:")
	}
	var p serverPage
	if v.About != nil {
		var err error
		if p.About, err = v.About(v.ctx()); err != nil {
			return err
		}
	}
	v.show(http.StatusOK, "server", "Server", p)
	return nil
}
