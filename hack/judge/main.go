// Evaluates resources for other programs with the code of those programs: Argo CD's Lua, the kstatus library of Flux and
// Helm, and the parser of Prometheus. Reads a JSON list from stdin and writes a JSON list of verdicts.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/prometheus/prometheus/promql/parser"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const usage = `usage: judge kstatus          < [object...]
       judge lua SCRIPT       < [object...]
       judge promql           < [expression...]
       judge query            < [{expr, series: [{labels, values}]}...]: at the last of values that are a minute apart`

type verdict struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("%s", usage))
	}
	switch {
	case os.Args[1] == "kstatus" && len(os.Args) == 2:
		judgeAll(kstatus)
	case os.Args[1] == "lua" && len(os.Args) == 3:
		judgeAll(func(object map[string]any) (verdict, error) { return health(os.Args[2], object) })
	case os.Args[1] == "promql" && len(os.Args) == 2:
		judgeAll(parse)
	case os.Args[1] == "query" && len(os.Args) == 2:
		judgeAll(query)
	default:
		fail(fmt.Errorf("%s", usage))
	}
}

func judgeAll[T any](judge func(T) (verdict, error)) {
	var things []T
	if err := json.NewDecoder(os.Stdin).Decode(&things); err != nil {
		fail(err)
	}
	verdicts := make([]verdict, 0, len(things))
	for _, thing := range things {
		made, err := judge(thing)
		if err != nil {
			fail(err)
		}
		verdicts = append(verdicts, made)
	}
	if err := json.NewEncoder(os.Stdout).Encode(verdicts); err != nil {
		fail(err)
	}
}

func kstatus(object map[string]any) (verdict, error) {
	result, err := status.Compute(&unstructured.Unstructured{Object: integers(object).(map[string]any)})
	if err != nil {
		return verdict{}, err
	}
	return verdict{Status: result.Status.String(), Message: result.Message}, nil
}

// health runs a health check like Argo CD: the object is the global `obj`, and only the base and table libraries are
// available.
func health(script string, object map[string]any) (verdict, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable} {
		if err := state.CallByParam(lua.P{Fn: state.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			return verdict{}, err
		}
	}
	state.SetGlobal("obj", toLua(state, object))
	if err := state.DoFile(script); err != nil {
		return verdict{}, err
	}
	result, isTable := state.Get(-1).(*lua.LTable)
	if !isTable {
		return verdict{}, fmt.Errorf("%s returned no table", script)
	}
	return verdict{Status: lua.LVAsString(result.RawGetString("status")), Message: lua.LVAsString(result.RawGetString("message"))}, nil
}

func parse(expression string) (verdict, error) {
	if _, err := parser.NewParser(parser.Options{}).ParseExpr(expression); err != nil {
		return verdict{Status: "Invalid", Message: err.Error()}, nil
	}
	return verdict{Status: "Valid"}, nil
}

// integers converts whole numbers to the type that the decoder of the API uses.
func integers(value any) any {
	switch typed := value.(type) {
	case map[string]any:
		for key, member := range typed {
			typed[key] = integers(member)
		}
	case []any:
		for index, member := range typed {
			typed[index] = integers(member)
		}
	case float64:
		if typed == float64(int64(typed)) {
			return int64(typed)
		}
	}
	return value
}

func toLua(state *lua.LState, value any) lua.LValue {
	switch typed := value.(type) {
	case map[string]any:
		table := state.NewTable()
		for key, member := range typed {
			table.RawSetString(key, toLua(state, member))
		}
		return table
	case []any:
		table := state.NewTable()
		for _, member := range typed {
			table.Append(toLua(state, member))
		}
		return table
	case string:
		return lua.LString(typed)
	case float64:
		return lua.LNumber(typed)
	case bool:
		return lua.LBool(typed)
	}
	return lua.LNil
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "judge:", err)
	os.Exit(1)
}
