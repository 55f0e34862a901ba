// What a dashboard in JSON must be, by the types of @grafana/schema.
import type * as schema from '@grafana/schema';
import type * as heatmap from '@grafana/schema/dist/esm/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen';
import type * as stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as table from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type * as timeseries from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

// Enumerations of strings are their values here.
type Plain<T> = T extends string
  ? `${T}`
  : T extends (infer Item)[]
    ? Plain<Item>[]
    : T extends object
      ? { [Key in keyof T]: Plain<T[Key]> }
      : T;

// Of the Prometheus data source; @grafana/schema has the part that all data sources share.
interface Query extends schema.DataQuery {
  expr: string;
  legendFormat?: string;
  format?: 'time_series' | 'table' | 'heatmap';
  range?: boolean;
  instant?: boolean;
}

interface Annotation extends schema.AnnotationQuery<Query> {
  titleFormat: string;
}

interface Link {
  title: string;
  url: string;
}

interface Panel<Kind extends string, Options, Custom>
  extends Omit<schema.Panel, 'targets' | 'options' | 'fieldConfig'> {
  type: Kind;
  options: Options;
  fieldConfig: Omit<schema.FieldConfigSource, 'defaults'> & {
    defaults: Omit<schema.FieldConfig, 'custom' | 'links'> & { custom?: Custom; links?: Link[] };
  };
  targets: Query[];
}

export type PanelOf = Plain<{
  heatmap: Panel<'heatmap', heatmap.Options, heatmap.FieldConfig>;
  stat: Panel<'stat', stat.Options, never>;
  table: Panel<'table', table.Options, Partial<table.FieldConfig>>;
  timeseries: Panel<'timeseries', timeseries.Options, timeseries.FieldConfig>;
}>;

export type Dashboard = Plain<
  Omit<schema.Dashboard, 'annotations'> & { annotations: { list: Annotation[] } }
>;
