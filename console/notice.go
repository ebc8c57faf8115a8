package console

import "net/http"

// noticeCookie carries what was just done to the page that comes next, once.
const noticeCookie = "apikeyd_notice"

// notice is what was done. The name of the key that it was done to stands before the text
// and apart from it: it may run from right to left.
type notice struct {
	Name string `json:"name,omitempty"`
	Text string `json:"text"`
}

// notify tells the next page what was done.
func (v *visit) notify(n notice) {
	http.SetCookie(v.w, cookie(v.r, noticeCookie, v.sealer.seal(noticeCookie+v.session.ID, n), Path, 60))
}

func (v *visit) takeNotice() (n notice) {
	value, found := cookieValue(v.r, noticeCookie)
	if !found {
		return n
	}
	http.SetCookie(v.w, cookie(v.r, noticeCookie, "", Path, -1))
	v.sealer.open(noticeCookie+v.session.ID, value, &n)
	return n
}
