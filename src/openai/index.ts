/** The OpenAI surface: an app over a port to the running simulation. */

export { API_PROFILES, ApiError, type ApiProfile } from './api-error.js';
export { createOpenAiApp, type OpenAiAppOptions, type RequestLog } from './app.js';
export { type ClusterModelOptions, clusterModel } from './cluster-model.js';
export type { DeliveryReport } from './delivery.js';
export type { LiveModel, LiveRequest, LiveService, RequestListener } from './live-model.js';
