package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// progressBar shows on a terminal how far a long command is; anywhere else, nothing.
type progressBar struct{ to io.Writer }

func newProgressBar(w io.Writer) *progressBar {
	if file, ok := w.(*os.File); ok {
		if info, err := file.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			return &progressBar{to: w}
		}
	}
	return &progressBar{to: io.Discard}
}

// eraseLine goes to the start of a terminal's line and empties it.
const eraseLine = "\r\x1b[K"

// copying draws a part of a whole.
func (p *progressBar) copying(done, total int64) {
	const width = 40
	filled := int(width * done / max(total, 1))
	fmt.Fprintf(p.to, "%scopying [%s%s] %3d %%", eraseLine,
		strings.Repeat("#", filled), strings.Repeat(".", width-filled), 100*done/max(total, 1))
}

// say names something whose end cannot be told.
func (p *progressBar) say(doing string) { fmt.Fprint(p.to, eraseLine+doing+" …") }

// clear takes the bar away.
func (p *progressBar) clear() { fmt.Fprint(p.to, eraseLine) }
