// In the shape of the client's sample.
window.plugNmeetConfig = {
  serverUrl: 'https://conf.example.org',
  // staticAssetsPath: '',
  /*customLogo: { main_logo_light: 'https://example.org/logo.png' },*/
  enableDynacast: true,
  enableSimulcast: true,
  videoCodec: 'vp8',
  stopMicTrackOnMute: true,
};
window.ENABLE_SIMULCAST = window.plugNmeetConfig.enableSimulcast;
