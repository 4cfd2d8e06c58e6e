// Builds kustomizations as `kustomize build` does, reads each manifest as the cluster would, and prints them all.
//
// A field that a kind does not have, or a value of another type, is an error. Kinds are Kubernetes' own Go types; those of the Prometheus
// Operator are its own, too; the OpenTelemetry Operator's Instrumentation is what instrumentation.go says,
// KEDA's ScaledObject what scaledobject.go says.
//
// Usage: built DIRECTORY…   prints {DIRECTORY: [MANIFEST, …], …} as JSON.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

var kinds = map[string]func() any{
	"apps/v1/Deployment":                        func() any { return new(apps.Deployment) },
	"apps/v1/StatefulSet":                       func() any { return new(apps.StatefulSet) },
	"autoscaling/v2/HorizontalPodAutoscaler":    func() any { return new(autoscaling.HorizontalPodAutoscaler) },
	"batch/v1/Job":                              func() any { return new(batch.Job) },
	"keda.sh/v1alpha1/ScaledObject":             func() any { return new(scaledObject) },
	"monitoring.coreos.com/v1/PodMonitor":       func() any { return new(monitoring.PodMonitor) },
	"monitoring.coreos.com/v1/PrometheusRule":   func() any { return new(monitoring.PrometheusRule) },
	"monitoring.coreos.com/v1/ServiceMonitor":   func() any { return new(monitoring.ServiceMonitor) },
	"networking.k8s.io/v1/Ingress":              func() any { return new(networking.Ingress) },
	"networking.k8s.io/v1/NetworkPolicy":        func() any { return new(networking.NetworkPolicy) },
	"opentelemetry.io/v1alpha1/Instrumentation": func() any { return new(instrumentation) },
	"policy/v1/PodDisruptionBudget":             func() any { return new(policy.PodDisruptionBudget) },
	"v1/ConfigMap":                              func() any { return new(core.ConfigMap) },
	"v1/Namespace":                              func() any { return new(core.Namespace) },
	"v1/PersistentVolumeClaim":                  func() any { return new(core.PersistentVolumeClaim) },
	"v1/Secret":                                 func() any { return new(core.Secret) },
	"v1/Service":                                func() any { return new(core.Service) },
}

func main() {
	built := map[string][]any{}
	for _, directory := range os.Args[1:] {
		manifests, err := build(directory)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", directory, err)
			os.Exit(1)
		}
		built[directory] = manifests
	}
	if err := json.NewEncoder(os.Stdout).Encode(built); err != nil {
		panic(err)
	}
}

func build(directory string) ([]any, error) {
	found, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), directory)
	if err != nil {
		return nil, err
	}
	var manifests []any
	for _, resource := range found.Resources() {
		text, err := resource.AsYAML()
		if err != nil {
			return nil, err
		}
		if err := read(resource.GetApiVersion()+"/"+resource.GetKind(), text); err != nil {
			return nil, fmt.Errorf("%s %s: %w", resource.GetKind(), resource.GetName(), err)
		}
		var manifest any
		if err := yaml.Unmarshal(text, &manifest); err != nil {
			return nil, err
		}
		manifests = append(manifests, manifest)
	}
	return manifests, nil
}

func read(kind string, text []byte) error {
	made, known := kinds[kind]
	if !known {
		return fmt.Errorf("%s is no kind that is known here: add it to main.go", kind)
	}
	return yaml.UnmarshalStrict(text, made())
}
