package main

import (
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// instrumentation is what this repository uses of opentelemetry.io/v1alpha1; the operator's own module brings a whole collector.
type instrumentation struct {
	meta.TypeMeta   `json:",inline"`
	meta.ObjectMeta `json:"metadata"`
	Spec            struct {
		Exporter struct {
			Endpoint string `json:"endpoint"`
		} `json:"exporter"`
		Env    []core.EnvVar `json:"env"`
		Python struct {
			Image           string                    `json:"image"`
			VolumeSizeLimit *resource.Quantity        `json:"volumeLimitSize"`
			Env             []core.EnvVar             `json:"env"`
			Resources       core.ResourceRequirements `json:"resourceRequirements"`
		} `json:"python"`
	} `json:"spec"`
}
