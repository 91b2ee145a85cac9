// The chart, rendered by Helm's packages and read with Kubernetes' types.

package deploy

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation"
	yamlstream "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

func render(values map[string]any) (map[string]string, error) {
	c, err := loader.LoadDir(chart)
	if err != nil {
		return nil, err
	}
	caps := common.DefaultCapabilities
	all, err := util.ToRenderValues(c, values, common.ReleaseOptions{Name: "prod", Namespace: "flows", IsInstall: true, Revision: 1}, caps)
	if err != nil {
		return nil, err
	}
	return engine.Render(c, all)
}

// objects renders the chart with a file of values and decodes what comes out; unknown fields and
// fields given twice are errors.
func objects(t *testing.T, values map[string]any) (out []runtime.Object, notes string) {
	t.Helper()
	files, err := render(values)
	if err != nil {
		t.Fatal(err)
	}
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasSuffix(name, "NOTES.txt") {
			notes = files[name]
			continue
		}
		if strings.HasSuffix(name, ".tpl") {
			continue
		}
		stream := yamlstream.NewDocumentDecoder(io.NopCloser(strings.NewReader(files[name])))
		buffer := make([]byte, 1<<20)
		for {
			n, err := stream.Read(buffer)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			var some any
			if err := yaml.Unmarshal(buffer[:n], &some); err == nil && some == nil {
				continue
			}
			o, _, err := decoder.Decode(bytes.Clone(buffer[:n]), nil, nil)
			if err != nil {
				t.Fatalf("%s: %v\n%s", name, err, buffer[:n])
			}
			out = append(out, o)
		}
	}
	return out, notes
}

func valuesOf(t *testing.T, file string) map[string]any {
	t.Helper()
	values, err := common.ReadValuesFile(filepath.Join(chart, "ci", file))
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// each runs a test with every file of values.
func each(t *testing.T, test func(t *testing.T, all []runtime.Object)) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(chart, "ci", "*.yaml"))
	if err != nil || len(files) < 3 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			all, _ := objects(t, valuesOf(t, filepath.Base(file)))
			test(t, all)
		})
	}
}

func all[T runtime.Object](objects []runtime.Object) (out []T) {
	for _, o := range objects {
		if o, ok := o.(T); ok {
			out = append(out, o)
		}
	}
	return out
}

// workload is what makes pods.
type workload struct {
	name     string
	replicas int32
	selector *metav1.LabelSelector
	pod      corev1.PodTemplateSpec
	stateful *appsv1.StatefulSet
	job      bool
}

func (w workload) container() corev1.Container { return w.pod.Spec.Containers[0] }
func (w workload) command() string             { return w.container().Args[0] }

func workloads(objects []runtime.Object) (out []workload) {
	for _, d := range all[*appsv1.Deployment](objects) {
		out = append(out, workload{name: d.Name, replicas: *d.Spec.Replicas, selector: d.Spec.Selector, pod: d.Spec.Template})
	}
	for _, s := range all[*appsv1.StatefulSet](objects) {
		out = append(out, workload{name: s.Name, replicas: *s.Spec.Replicas, selector: s.Spec.Selector, pod: s.Spec.Template, stateful: s})
	}
	for _, j := range all[*batchv1.Job](objects) {
		out = append(out, workload{name: j.Name, pod: j.Spec.Template, job: true})
	}
	return out
}

func TestChartRunsTheProgram(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, objects []runtime.Object) {
		for _, w := range workloads(objects) {
			c := w.container()
			env := map[string]string{}
			for _, e := range c.Env {
				env[e.Name] = e.Value
			}
			i := invocation{where: w.name, args: c.Args, env: env}
			said := i.check(t)
			for _, variable := range regexp.MustCompile(`\$\(([A-Z_]+)\)`).FindAllStringSubmatch(strings.Join(c.Args, " "), -1) {
				if _, defined := env[variable[1]]; !defined {
					t.Errorf("%s: $(%s) is nothing", w.name, variable[1])
				}
			}
			if w.job {
				continue
			}
			if _, secret := env["BATON_REGISTRY"]; said["registry"] == "" && !secret {
				t.Errorf("%s has no registry", w.name)
			}
		}
	})
}

func TestChartKeepsSecrets(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, objects []runtime.Object) {
		if n := len(all[*corev1.Secret](objects)) + len(all[*corev1.ConfigMap](objects)); n > 0 {
			t.Errorf("%d Secrets and ConfigMaps: the chart brings none", n)
		}
		for _, w := range workloads(objects) {
			store := false
			for _, e := range w.container().Env {
				secret := slices.Contains([]string{"BATON_STORE", "BATON_STORE_DIRECT", "BATON_REGISTRY", "PGPASSWORD"}, e.Name)
				if secret && (e.Value != "" || e.ValueFrom == nil || e.ValueFrom.SecretKeyRef == nil) {
					t.Errorf("%s: %s does not come by a Secret", w.name, e.Name)
				}
				store = store || e.Name == "BATON_STORE"
			}
			registry := invocation{where: w.name, args: w.container().Args}.settings(t)["registry"]
			if tasks := w.command() == "worker"; store == tasks && registry != "sql" {
				t.Errorf("%s: it has the store: %v", w.name, store)
			}
			if args := strings.Join(w.container().Args, " "); strings.Contains(args, "@") || strings.Contains(args, "postgres://") {
				t.Errorf("%s: the list of processes shows %s", w.name, args)
			}
			if token := w.pod.Spec.AutomountServiceAccountToken; token == nil || *token != (w.pod.Spec.ServiceAccountName != "") {
				t.Errorf("%s: it has a token of Kubernetes", w.name)
			}
		}
	})
}

func TestChartWaitsForTheDrain(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, objects []runtime.Object) {
		for _, w := range workloads(objects) {
			if w.job {
				continue
			}
			grace := *w.pod.Spec.TerminationGracePeriodSeconds
			if w.command() != "worker" {
				if grace < 20 {
					t.Errorf("%s is given %d s", w.name, grace)
				}
				continue
			}
			said := invocation{where: w.name, args: w.container().Args}.settings(t)
			if drain := span(t, said["drain-timeout"]); float64(grace) < drain.Seconds()+30 {
				t.Errorf("%s is killed after %d s, it drains up to %v", w.name, grace, drain)
			}
		}
		for _, d := range all[*appsv1.Deployment](objects) {
			if r := d.Spec.Strategy.RollingUpdate; r == nil || r.MaxUnavailable.IntValue() != 0 || r.MaxUnavailable.String() != "0" {
				t.Errorf("%s: an update takes it away: %+v", d.Name, r)
			}
		}
	})
}

func TestChartProbesTheAdminPort(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, objects []runtime.Object) {
		for _, w := range workloads(objects) {
			c := w.container()
			probes := map[string]*corev1.Probe{"/livez": c.LivenessProbe, "/readyz": c.ReadinessProbe, "/livez ": c.StartupProbe}
			for path, p := range probes {
				switch node := w.command() == "master" || w.command() == "api"; {
				case node && (p == nil || p.HTTPGet == nil || p.HTTPGet.Path != strings.TrimSpace(path) || p.HTTPGet.Port.String() != "admin"):
					t.Errorf("%s: probe of %s is %+v", w.name, path, p)
				case !node && p != nil:
					t.Errorf("a probe of %s ends its tasks: %+v", w.name, p)
				}
			}
			said := invocation{where: w.name, args: c.Args}.settings(t)
			for _, port := range c.Ports {
				flag := map[string]string{"admin": "admin-listen", "http": "listen", "rpc": "rpc-listen"}[port.Name]
				if want := ":" + strconv.Itoa(int(port.ContainerPort)); said[flag] != want {
					t.Errorf("%s: port %s is %s, --%s says %s", w.name, port.Name, want, flag, said[flag])
				}
			}
		}
	})
}

func TestChartSelectsItsPods(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, objects []runtime.Object) {
		pods := workloads(objects)
		matches := func(name string, selector labels.Selector) (found []workload) {
			for _, w := range pods {
				if selector.Matches(labels.Set(w.pod.Labels)) {
					found = append(found, w)
				}
			}
			if len(found) != 1 {
				t.Errorf("%s selects %d kinds of pods", name, len(found))
				return []workload{{}}
			}
			return found
		}
		of := func(name string, s *metav1.LabelSelector) workload {
			selector, err := metav1.LabelSelectorAsSelector(s)
			if err != nil {
				t.Fatal(err)
			}
			return matches(name, selector)[0]
		}
		for _, w := range pods {
			if !w.job && of(w.name, w.selector).name != w.name {
				t.Errorf("%s selects pods of another", w.name)
			}
			for _, key := range []string{"helm.sh/chart", "app.kubernetes.io/version"} {
				if _, set := w.pod.Labels[key]; set {
					t.Errorf("%s: %s on pods starts all of them anew when only the chart changes", w.name, key)
				}
			}
			for _, s := range w.pod.Spec.TopologySpreadConstraints {
				if s.LabelSelector != nil && of(w.name, s.LabelSelector).name != w.name {
					t.Errorf("%s spreads pods of another", w.name)
				}
			}
		}
		services := map[string]workload{}
		for _, s := range all[*corev1.Service](objects) {
			w := matches(s.Name, labels.SelectorFromSet(s.Spec.Selector))[0]
			services[s.Name] = w
			for _, p := range s.Spec.Ports {
				if !slices.ContainsFunc(w.container().Ports, func(c corev1.ContainerPort) bool { return c.Name == p.TargetPort.String() }) {
					t.Errorf("service %s: %s has no port %s", s.Name, w.name, p.TargetPort.String())
				}
			}
		}
		guarded := map[string]bool{}
		for _, p := range all[*policyv1.PodDisruptionBudget](objects) {
			w := of(p.Name, p.Spec.Selector)
			guarded[w.name] = true
			if p.Spec.MaxUnavailable.IntValue() != 1 || w.replicas < 2 {
				t.Errorf("%s: %+v of %d", p.Name, p.Spec, w.replicas)
			}
		}
		for _, w := range pods {
			if len(guarded) > 0 && w.replicas > 1 && !guarded[w.name] {
				t.Errorf("%s has no disruption budget", w.name)
			}
			if w.stateful != nil && services[w.stateful.Spec.ServiceName].name != w.name {
				t.Errorf("%s: its service %s is not its own", w.name, w.stateful.Spec.ServiceName)
			}
		}
		for _, p := range all[*networkingv1.NetworkPolicy](objects) {
			w := of(p.Name, &p.Spec.PodSelector)
			for _, rule := range p.Spec.Ingress {
				for _, port := range rule.Ports {
					if !slices.ContainsFunc(w.container().Ports, func(c corev1.ContainerPort) bool { return c.Name == port.Port.String() }) {
						t.Errorf("policy %s: %s has no port %s", p.Name, w.name, port.Port.String())
					}
				}
			}
			if w.command() == "worker" && len(p.Spec.Ingress) > 0 {
				t.Errorf("policy %s lets somebody in", p.Name)
			}
		}
		for _, i := range all[*networkingv1.Ingress](objects) {
			for _, r := range i.Spec.Rules {
				if b := r.HTTP.Paths[0].Backend.Service; services[b.Name].command() != "api" || b.Port.Name != "http" {
					t.Errorf("ingress %s leads to %+v", i.Name, b)
				}
			}
		}
	})
}

// Masters say the name that DNS gives them, workers ask by the name of their service.
func TestChartMastersAreFound(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, objects []runtime.Object) {
		var service string
		for _, w := range workloads(objects) {
			if w.job || w.command() != "master" {
				continue
			}
			service = w.stateful.Spec.ServiceName
			said := invocation{where: w.name, args: w.container().Args}.settings(t)
			if want := "$(POD_NAME)." + service + ".flows.svc:7078"; said["advertise"] != want {
				t.Errorf("%s says %s, it is at %s", w.name, said["advertise"], want)
			}
		}
		for _, s := range all[*corev1.Service](objects) {
			if s.Name == service && (s.Spec.ClusterIP != corev1.ClusterIPNone || !s.Spec.PublishNotReadyAddresses) {
				t.Errorf("%s: %+v", service, s.Spec)
			}
		}
		for _, w := range workloads(objects) {
			if w.command() != "worker" {
				continue
			}
			registry := invocation{where: w.name, args: w.container().Args}.settings(t)["registry"]
			if registry != "sql" && registry != "master://"+service+".flows.svc:7078" {
				t.Errorf("%s asks %s for masters", w.name, registry)
			}
		}
	})
}

func TestChartIsConfined(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, objects []runtime.Object) {
		for _, w := range workloads(objects) {
			pod, c := w.pod.Spec.SecurityContext, w.container().SecurityContext
			if pod == nil || !*pod.RunAsNonRoot || *pod.RunAsUser != 10001 || pod.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
				t.Errorf("%s: %+v", w.name, pod)
			}
			if c == nil || *c.AllowPrivilegeEscalation || *c.ReadOnlyRootFilesystem != (w.command() != "worker") || !slices.Equal(c.Capabilities.Drop, []corev1.Capability{"ALL"}) {
				t.Errorf("%s: %+v", w.name, c)
			}
			if r := w.container().Resources; r.Requests.Cpu().IsZero() || r.Requests.Memory().IsZero() || r.Limits.Memory().IsZero() {
				t.Errorf("%s: resources %+v", w.name, r)
			}
			mounted := map[string]bool{}
			for _, v := range w.pod.Spec.Volumes {
				mounted[v.Name] = true
			}
			if w.stateful != nil {
				for _, v := range w.stateful.Spec.VolumeClaimTemplates {
					mounted[v.Name] = true
				}
			}
			for _, m := range w.container().VolumeMounts {
				if !mounted[m.Name] {
					t.Errorf("%s mounts %s, which is not there", w.name, m.Name)
				}
			}
			if args := strings.Join(w.container().Args, " "); !w.job && strings.Contains(args, "--tls-cert") != mounted["tls"] {
				t.Errorf("%s: TLS is half there", w.name)
			}
		}
	})
}

// The longest names that the values allow are still names.
func TestChartNamesAreShortEnough(t *testing.T) {
	t.Parallel()
	set := strings.Repeat("w", 20)
	all, _ := objects(t, map[string]any{
		"fullnameOverride": strings.Repeat("n", 60), "nameOverride": strings.Repeat("m", 60),
		"store":   map[string]any{"existingSecret": "s"},
		"workers": map[string]any{"sets": map[string]any{set: map[string]any{}}},
	})
	for _, w := range workloads(all) {
		// A pod of a StatefulSet has -NUMBER, its label controller-revision-hash ten letters more.
		for _, errs := range [][]string{validation.IsDNS1123Label(w.name + "-100"), validation.IsValidLabelValue(w.name + "-5d4f8c7b9d")} {
			if len(errs) > 0 {
				t.Errorf("%s: %v", w.name, errs)
			}
		}
		for _, v := range w.pod.Labels {
			if errs := validation.IsValidLabelValue(v); len(errs) > 0 {
				t.Errorf("label %s: %v", v, errs)
			}
		}
	}
}

func TestChartSaysWhatWorkersDo(t *testing.T) {
	t.Parallel()
	all, notes := objects(t, valuesOf(t, "full.yaml"))
	want := map[string]map[string]string{
		"prod-flows-worker-default": {"groups": "default", "labels": "site=eu", "slots": ""},
		"prod-flows-worker-spark":   {"groups": "spark,heavy", "labels": "disk=ssd,gpu=2,site=eu", "slots": "8"},
		"prod-flows-worker-lone":    {"groups": "lone", "labels": "site=eu", "registry": "sql"},
	}
	for _, w := range workloads(all) {
		said := invocation{where: w.name, args: w.container().Args}.settings(t)
		for name, value := range want[w.name] {
			if said[name] != value {
				t.Errorf("%s: --%s=%s, not %s", w.name, name, said[name], value)
			}
		}
		delete(want, w.name)
		if w.name == "prod-flows-worker-spark" {
			claim := w.stateful.Spec.VolumeClaimTemplates[0].Spec
			if *claim.StorageClassName != "fast" || claim.Resources.Requests.Storage().String() != "200Gi" || w.stateful.Spec.UpdateStrategy.Type != appsv1.OnDeleteStatefulSetStrategyType ||
				w.container().Image != "registry.example/spark-worker:3.5" || *w.pod.Spec.TerminationGracePeriodSeconds != 3660 {
				t.Errorf("%s: %+v", w.name, w.stateful.Spec)
			}
		}
	}
	if len(want) > 0 {
		t.Errorf("not there: %v", want)
	}
	for _, line := range []string{"Workers of lone have no volume", "*.prod-flows-master.flows.svc", "exec deploy/prod-flows-api -- baton admin token create", "https://baton.example"} {
		if !strings.Contains(notes, line) {
			t.Errorf("the notes do not say %q:\n%s", line, notes)
		}
	}
}

func TestChartRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	store := map[string]any{"existingSecret": "s"}
	for name, test := range map[string]struct {
		values map[string]any
		says   string
	}{
		"no store":       {map[string]any{}, "store.existingSecret: name a Secret"},
		"unknown":        {map[string]any{"store": store, "colour": "red"}, "colour"},
		"unknown worker": {map[string]any{"store": store, "workers": map[string]any{"sets": map[string]any{"a": map[string]any{"slot": 1}}}}, "slot"},
		"password":       {map[string]any{"store": store, "registry": map[string]any{"url": "etcd://u:p@h:1"}}, "/registry/url"},
		"set name":       {map[string]any{"store": store, "workers": map[string]any{"sets": map[string]any{"A B": map[string]any{}}}}, "A B"},
		"no master":      {map[string]any{"store": store, "master": map[string]any{"replicas": 0}}, "/master/replicas"},
		"no certificate": {map[string]any{"store": store, "tls": map[string]any{"enabled": true}}, "tls.existingSecret: name a Secret"},
		"no host":        {map[string]any{"store": store, "api": map[string]any{"ingress": map[string]any{"enabled": true}}}, "api.ingress.hosts: name a host"},
	} {
		if _, err := render(test.values); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, it should say %q", name, err, test.says)
		}
	}
}
