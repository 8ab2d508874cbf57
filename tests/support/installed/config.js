// In the shape of the client's sample.
window.plugNmeetConfig = {
  serverUrl: 'https://conf.example.org',
  // staticAssetsPath: '',
  enableDynacast: true,
  enableSimulcast: true,
  stopMicTrackOnMute: true,
};
