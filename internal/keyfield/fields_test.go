package keyfield_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"apikeyd/client"
	"apikeyd/internal/keyfield"
)

// Each Text reads and writes the field with its name.
func TestTextsAreTheirFields(t *testing.T) {
	t.Parallel()
	for _, text := range keyfield.Texts() {
		var created client.NewKey
		*text.InNew(&created) = "a"
		var change client.Change
		*text.InChange(&change) = new("b")
		var key client.Key
		decode(t, `{"`+text.Name+`":"c"}`, &key)
		var changes client.AuditChanges
		decode(t, `{"`+text.Name+`":{"to":"d"}}`, &changes)
		inAudit := text.InAudit(changes)
		if property(t, created, text.Name) != "a" || property(t, change, text.Name) != "b" ||
			text.Of(key) != "c" || inAudit == nil || *inAudit.To != "d" {
			t.Errorf("%s: %+v, %+v, %q and %+v", text.Name, created, change, text.Of(key), inAudit)
		}
	}
	if name := keyfield.Texts()[0].Name; name != "name" {
		t.Errorf("the first text is %s, not the name", name)
	}
}

// Every text has a flag in both commands, and each flag is passed on.
func TestFlagsAreTheTexts(t *testing.T) {
	t.Parallel()
	var created keyfield.NewFlags
	for field, value := range reflect.ValueOf(&created).Elem().Fields() {
		value.SetString(field.Name)
	}
	var changed keyfield.ChangeFlags
	for field, value := range reflect.ValueOf(&changed).Elem().Fields() {
		value.Set(reflect.ValueOf(&field.Name))
	}
	key, change := created.NewKey(), changed.Change()
	for _, text := range keyfield.Texts() {
		if inNew, inChange := *text.InNew(&key), *text.InChange(&change); inNew == "" || inChange == nil || *inChange != inNew {
			t.Errorf("%s: %q, %v", text.Flag(), inNew, inChange)
		}
	}
}

func decode(t *testing.T, text string, value any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), value); err != nil {
		t.Fatal(err)
	}
}

func property(t *testing.T, value any, name string) any {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	var properties map[string]any
	decode(t, string(text), &properties)
	return properties[name]
}
