//go:build full

package console_test

import "testing"

// A pasted file is checked, and then imported.
func TestImportInABrowser(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	b := k.browse()
	b.signIn(k.admin)
	b.open("/console/keys")
	b.click("main a[href='/console/import']")
	b.at("/console/import")
	b.seen.Expect("status of 400")
	b.click("main button[type=submit]")
	b.want("article .problem", "Choose a file, or paste its text.")
	b.fill("#text", importSample)
	b.click("main button[type=submit]")
	b.want("h1", "What an import would do")
	b.want("main", "Nothing was imported yet", "would be created", "in conflict")
	b.isClean("import-report")
	b.click("main button[type=submit]")
	b.want("h1", "Imported keys")
	if !k.valid(legacy) {
		t.Error("it was not imported")
	}
	b.click("tbody a")
	b.want("h1", "mobile & web")
}
