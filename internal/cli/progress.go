package cli

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

// copying draws what part of a whole is copied.
func (p *progressBar) copying(done, total int64) { p.part("copying", done, total) }

// part draws a part of a whole.
func (p *progressBar) part(doing string, done, total int64) {
	const width = 40
	total = max(total, 1)
	done = min(done, total)
	filled := int(width * done / total)
	fmt.Fprintf(p.to, "%s%s [%s%s] %3d %%", eraseLine, doing,
		strings.Repeat("#", filled), strings.Repeat(".", width-filled), 100*done/total)
}

// say names something whose end cannot be told.
func (p *progressBar) say(doing string) { fmt.Fprint(p.to, eraseLine+doing+" …") }

// clear takes the bar away.
func (p *progressBar) clear() { fmt.Fprint(p.to, eraseLine) }
